//! What a run comes to, for people and for programs.

pub(crate) mod html;
pub(crate) mod json;
pub(crate) mod table;
pub(crate) mod words;

/// A latency in milliseconds with three significant digits, as people read it.
pub(crate) fn readable(milliseconds: Option<f64>) -> String {
    match milliseconds {
        None => "-".to_owned(),
        Some(value) if value < 10.0 => format!("{value:.2}"),
        Some(value) if value < 100.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.0}"),
    }
}
