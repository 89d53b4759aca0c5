//! The matrix as one page that needs nothing else.

use std::io::{self, Write};

use super::{Cell, Matrix, Sign, level, words};

const HEAD: &str = r#"<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>MQTT brokers, statement by statement</title>
<style>
:root { color-scheme: light dark; }
body { font: 15px/1.4 system-ui, sans-serif; margin: .8rem; }
.wide { overflow: auto; max-height: 85vh; } table { border-collapse: collapse; font-size: .88em; }
td, th { border: 1px solid #8884; padding: .15rem .4rem; vertical-align: top; }
thead th { position: sticky; top: 0; background: Canvas; z-index: 1; }
tbody th { text-align: left; font-weight: normal; min-width: 9rem; max-width: 24rem; }
tbody th b { font-family: ui-monospace, monospace; } td.c { text-align: center; } td.n { text-align: right; }
.broken { background: #cf222e33; } .holds { background: #1a7f3722; } .missed, .unclear { background: #9a670033; }
td details { text-align: left; } td pre { font-size: 12px; white-space: pre-wrap; min-width: 16rem; } input { font: inherit; padding: .25rem; }
</style>
<h1>MQTT brokers, statement by statement</h1>
"#;

const TAIL: &str = r"<script>
'use strict'
const rows = [...document.querySelectorAll('#statements tbody tr')]
function filter() {
  const words = document.getElementById('text').value.toLowerCase().split(/\s+/).filter(Boolean)
  const broken = document.getElementById('broken').checked
  for (const row of rows) row.hidden = !words.every(w => row.textContent.toLowerCase().includes(w)) || (broken && !row.querySelector('.broken, .missed'))
}
for (const id of ['text', 'broken']) document.getElementById(id).addEventListener('input', filter)
</script>
</html>
";

impl Matrix {
    /// Writes it as a page.
    ///
    /// # Errors
    /// What `out` answers.
    pub fn write_page(&self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(HEAD.as_bytes())?;
        writeln!(out, "<div class=wide><table id=scores><thead><tr>")?;
        for title in [
            "broker",
            "transport",
            "MUST",
            "FACT",
            "SHOULD",
            "rejects bad input",
        ] {
            write!(out, "<th>{title}</th>")?;
        }
        writeln!(out, "</tr></thead><tbody>")?;
        for column in &self.columns {
            let (broker, transport) = (escaped(&column.broker), escaped(&column.transport));
            write!(out, "<tr><th>{broker}</th><td>{transport}</td>")?;
            for (passed, played) in [column.must, column.fact, column.should, column.rejections] {
                write!(out, "<td class=n>{passed} of {played}</td>")?;
            }
            writeln!(out, "</tr>")?;
        }
        writeln!(out, "</tbody></table></div><p>")?;
        for sign in Sign::ALL {
            let character = match sign.character() {
                "" => "blank",
                character => character,
            };
            write!(out, "{character} {}&ensp;", sign.words())?;
        }
        writeln!(
            out,
            "</p><p><input id=text type=search placeholder=\"statement, words\" aria-label=filter> \
             <label><input id=broken type=checkbox> only what does not hold somewhere</label></p>"
        )?;
        writeln!(
            out,
            "<div class=wide><table id=statements><thead><tr><th>statement</th>"
        )?;
        for column in &self.columns {
            let (broker, transport) = (escaped(&column.broker), escaped(&column.transport));
            write!(out, "<th>{broker}<br>{transport}</th>")?;
        }
        writeln!(out, "</tr></thead><tbody>")?;
        for (id, cells) in &self.rows {
            write!(
                out,
                "<tr><th><b>{id}</b> {} {}</th>",
                level(id),
                escaped(words(id))
            )?;
            for cell in cells {
                write_cell(cell, cell.sign(level(id)), out)?;
            }
            writeln!(out, "</tr>")?;
        }
        writeln!(out, "</tbody></table></div>")?;
        out.write_all(TAIL.as_bytes())
    }
}

fn write_cell(cell: &Cell, sign: Sign, out: &mut dyn Write) -> io::Result<()> {
    let class = match sign {
        Sign::Holds => "holds",
        Sign::Broken => "broken",
        Sign::Otherwise | Sign::Missed => "missed",
        Sign::Unclear => "unclear",
        Sign::NotChosen | Sign::NotPlayed => "",
    };
    let (character, words) = (sign.character(), sign.words());
    if cell.failed.is_empty() {
        return write!(
            out,
            "<td class=\"c {class}\" title=\"{words}\">{character}</td>"
        );
    }
    write!(
        out,
        "<td class=\"c {class}\" title=\"{words}\"><details><summary>{character} {}</summary><pre>",
        cell.failed.len()
    )?;
    for failed in &cell.failed {
        let (scenario, detail) = (escaped(&failed.scenario), escaped(&failed.detail));
        writeln!(out, "{scenario}\n{detail}\n")?;
    }
    write!(out, "</pre></details></td>")
}

/// Text that is no markup.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
