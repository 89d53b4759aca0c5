//! The scenario language: what it accepts, and what its messages say about what it does not.

use quince_codec::Version;
use quince_conformance::scenario::{Action, StatementsByShape, parse};

fn problems(source: &str) -> String {
    match parse("bad.kdl", source, &StatementsByShape) {
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    }
}

/// A scenario with these steps and, unless they bring one, a fault.
fn with(steps: &str) -> String {
    let steps = if steps.contains("fault ") {
        steps.to_owned()
    } else {
        format!(
            "{steps}\n(end)c alive\nfault f violates=\"MQTT5-4.3.2-4\" caught-at=end {{ drop PINGRESP }}"
        )
    };
    format!(
        "scenario s {{\nwhy \"w\"\nmqtt \"3.1.1\" \"5.0\"\nproves \"MQTT5-4.3.2-4\" \"MQTT3-4.3.2-2\"\n{steps}\n}}"
    )
}

/// The file must be refused, and the message must say all of this.
#[track_caller]
fn refused(source: &str, parts: &[&str]) {
    let message = problems(source);
    for part in parts {
        assert!(message.contains(part), "expected {part:?} in:\n{message}");
    }
}

#[track_caller]
fn accepted(source: &str) {
    let message = problems(source);
    assert!(message.is_empty(), "{message}");
}

const DESIGN: &str = r#"
scenario qos1-publish-is-acknowledged {
    why "A QoS 1 PUBLISH is answered by exactly one PUBACK with its identifier"
    mqtt "3.1.1" "5.0"
    proves "MQTT5-4.3.2-4" "MQTT3-4.3.2-2"          // catalogue ids, always with the version
    pub connect
    pub -> PUBLISH qos=1 id=7 topic="$t/a" payload="x"
    (ack)pub <- PUBACK id=7                          // the annotation names the step
    pub quiet                                        // proved by PINGREQ/PINGRESP or a sentinel, never by sleeping
    fault drop-puback violates="MQTT5-4.3.2-4" caught-at=ack { drop PUBACK id=7 }
    fault wrong-id    violates="MQTT5-4.3.2-4" caught-at=ack { set PUBACK id=8 }
}
"#;

#[test]
fn the_example_of_the_design_is_a_scenario() {
    let scenarios = parse("design.kdl", DESIGN, &StatementsByShape).expect("it is valid");
    let [scenario] = &scenarios[..] else {
        panic!("expected one scenario")
    };
    assert_eq!(scenario.slug, "qos1-publish-is-acknowledged");
    assert_eq!(scenario.versions, [Version::V3_1_1, Version::V5_0]);
    assert_eq!(scenario.steps.len(), 4);
    assert_eq!(scenario.steps[2].name.as_deref(), Some("ack"));
    assert_eq!(scenario.steps[2].line, 8);
    assert_eq!(
        scenario.steps[1].text,
        r#"pub -> PUBLISH qos=1 id=7 topic="$t/a" payload="x""#
    );
    assert!(matches!(scenario.steps[3].action, Action::Quiet { .. }));
    assert_eq!(scenario.faults.len(), 2);
    assert_eq!(scenario.faults[1].caught_at, "ack");
    assert_eq!(
        scenario.statements(&scenario.cases[0], Version::V3_1_1),
        ["MQTT3-4.3.2-2"]
    );
}

#[test]
fn every_example_of_the_documentation_is_accepted() {
    let text =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/scenarios.md"))
            .expect("the documentation is there");
    let blocks: Vec<&str> = text
        .split("```kdl\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect();
    assert!(
        blocks.len() >= 8,
        "only {} blocks of code found",
        blocks.len()
    );
    for block in blocks {
        if block.contains("scenario ") {
            accepted(block);
        } else if block.contains("fault NAME") || block.trim_start().starts_with("cases") {
            // Forms, not steps: the parser's other tests cover them.
        } else {
            accepted(&with(&format!(
                "first connect; c connect; sub connect\n{}",
                block.replace("...", "id=1 topic=\"x\" qos=1")
            )));
        }
    }
}

#[test]
fn every_construct_is_accepted() {
    accepted(&with(
        r#"
    c connect clean-start=#false keep-alive=10 client-id="${c}x" user-name="u" password=(hex)"00 ff" code=any {
        only "5.0" { session-expiry-interval 300; receive-maximum 2; user-property "a" "1"; user-property "a" "2" }
        will topic="$t/will" payload="gone" qos=1 retain=1 { only "5.0" { will-delay-interval 2 } }
        expect session-present=#false { only "5.0" { topic-alias-maximum "1..65535" } }
    }
    c subscribe "$t/a" "$t/b" qos=1
    c publish "$t/a" payload=(size)1000 qos=2
    c -> PUBLISH topic=(repeat)"a*100" payload=(repeat)"ab*500" chunks=1
    c -> PUBLISH topic="$t/a" payload="x" first=5
    c -> rest first=2
    c -> rest
    c -> SUBSCRIBE id=1 { filter "$t/a" qos=1; filter "$t/#" }
    c -> UNSUBSCRIBE id=1 filter="$t/a" { edit { flags 0 } }
    c -> framed 0x82 (u16)1 (string)"$t/a" (u8)3
    c -> framed 0xe0
    c -> raw hex="c0 01 00"
    c -> raw (varint)200 (u32)7
    c <- PUBLISH id=(as)m qos="0|1" retain=#true topic=(prefix)"$t/" payload=(one-of)"a|b"
    c -> PUBACK id=$m
    (sub)c <- SUBACK id=1 codes="0|1 error 2" within="2s"
    c <- PINGRESP not-before="500ms" since=sub
    c <- raw (hex)"d0 00"
    either { c <- PUBACK id=(not)$m }; or { c <- PUBREC id="1..3" }; or { c closed }
    unordered { c <- SUBACK id=1; c <- PUBLISH topic="x" }
    optional { c <- DISCONNECT }
    ignore { c <- PUBLISH dup=#true }
    repeat 3 as=i from=0 { c -> PUBLISH qos=1 id="$i+100" topic="$t/$i" }
    only "5.0" { c -> AUTH code=re-authenticate; c <- DISCONNECT code=not-authorized }
    c quiet by=c topic="$t/a" qos=1
    c closed silently
    c closed code="0x81|0x82" within=2
    c disconnect
    c reconnect
    c finish
    c reset code=1
    c drop
    c open
    wait "1.5s"
    wait 2
    (end)c alive
    fault a violates="MQTT5-4.3.2-4" caught-at=end { drop PINGRESP client=c }
"#,
    ));
}

#[test]
fn every_fault_operation_is_accepted() {
    accepted(&with(
        r#"
    c connect
    (end)c alive
    fault a violates="MQTT5-4.3.2-4 MQTT3-4.3.2-2" caught-at=end mqtt="5.0" {
        drop any client=c nth=2
        drop -> UNSUBSCRIBE
        set PUBACK id=8 { where id=7; reason-string absent }
        set -> SUBSCRIBE qos=0
        edit PUBLISH { flags 6; where topic="$t/a" }
        edit -> PUBLISH { substitute "a" (hex)"ff"; set-bits at=-1 mask=1; remaining-length (hex)"80 00" }
        duplicate PUBLISH { where payload="x" }
        delay PUBACK
        delay PUBLISH by="2s"
        replace PUBACK id=7 { with PUBCOMP id=7 }
        replace PUBACK { with raw (hex)"00" }
        insert PUBLISH topic="$t/a" payload="x" { before PINGRESP }
        insert raw (hex)"00" { after CONNACK }
        insert -> DISCONNECT { before close }
        close { after SUBACK }
        hold-close client=c
        hold-close ->
    }
    fault b violates="MQTT3-4.3.2-2" caught-at=end { close { before PINGRESP } }
"#,
    ));
}

#[test]
fn cases_bring_variables_versions_and_statements() {
    let source = r#"scenario s {
    why "w"
    mqtt "3.1.1" "5.0"
    cases {
        one byte=0x11 proves="MQTT5-1-1 MQTT3-1-1"
        two byte=0x12 mqtt="5.0" proves="MQTT5-1-2"
    }
    c connect
    c -> raw (u8)$byte
    (end)c closed
    fault f violates="MQTT5-1-1 MQTT3-1-1" caught-at=end case=one { hold-close }
    fault g violates="MQTT5-1-2" caught-at=end case=two { hold-close }
}"#;
    let scenarios = parse("s.kdl", source, &StatementsByShape).expect("it is valid");
    let [one, two] = &scenarios[0].cases[..] else {
        panic!("expected two cases")
    };
    assert_eq!(scenarios[0].id(two), "s/two");
    assert_eq!(one.versions.len(), 2);
    assert_eq!(two.versions, [Version::V5_0]);
    assert_eq!(scenarios[0].statements(one, Version::V3_1_1), ["MQTT3-1-1"]);
    refused(
        &source.replace("two byte=0x12", "two bite=0x12"),
        &["9:14: the variable $byte is not defined"],
    );
    refused(
        &source.replace(" MQTT3-1-1\"\n        two", "\"\n        two"),
        &["no statement of MQTT 3.1.1 is proved in case `one`"],
    );
    let each = source.replace("one byte=0x11", "each f 1 2 3\n one f=9 byte=1");
    refused(&each, &["$byte is not defined"]);
}

#[test]
fn problems_name_file_line_and_column() {
    refused(
        &with("c conect"),
        &["bad.kdl:5:1: unknown step `c conect`", "expected connect"],
    );
    refused(
        &with("c connect\n  c -> PUBLSH"),
        &["bad.kdl:6:8: unknown packet `PUBLSH`", "expected CONNECT"],
    );
}

#[test]
fn problems_say_what_was_expected() {
    refused("scenario", &["1:1: a scenario without a name"]);
    refused("nonsense x", &["unknown word `nonsense`"]);
    refused("", &["no scenario"]);
    refused("scenario a {", &["bad.kdl:1:"]);
    refused(
        &with("c <- PUBACK tpic=1"),
        &["PUBACK has no field `tpic`", "expected code, id"],
    );
    refused(
        &with("c <- PUBACK id=7 code=0"),
        &["PUBACK has no field `code` in MQTT 3.1.1", "only \"5.0\""],
    );
    refused(&with("c -> PUBACK"), &["PUBACK needs `id`"]);
    refused(
        &with("c -> PUBLISH qos=1 topic=\"a\""),
        &["PUBLISH needs `id`"],
    );
    refused(
        &with("c -> PUBLISH qos=3 id=1 topic=\"a\""),
        &["expected a whole number from 0 to 2, not 3"],
    );
    refused(&with("c <- PUBACK id=seven"), &["expected a number"]);
    refused(&with("c <- PUBACK id=7 id=8"), &["`id` is given twice"]);
    refused(
        &with("c -> PUBLISH topic=\"$x/a\""),
        &["$x is not defined", "$c $t"],
    );
    refused(&with("c -> AUTH"), &["AUTH does not exist in MQTT 3.1.1"]);
    refused(
        &with("(a)c quiet\n(a)c quiet"),
        &["a second step is called `a`", "line 5"],
    );
    refused(
        &with("c -> PINGREQ frame=ping"),
        &["unknown kind of frame", "expected frame=text"],
    );
    refused(
        &with("c -> PINGREQ frame=text chunks=1"),
        &["a text message in parts"],
    );
    refused(&with("needs magic"), &["unknown capability `magic`"]);
    for range in ["5..1", "1..", "..", "a..b"] {
        refused(
            &with(&format!("needs receive-maximum=\"{range}\"")),
            &["no range of numbers", "expected a lower bound"],
        );
    }
    refused(&with("proves \"MQTT9-1\""), &["unknown statement MQTT9-1"]);
    refused(&with("or { c quiet }"), &["`or` without `either`"]);
    refused(
        &with("either { c quiet }; or { c closed }"),
        &["does not start with an expectation"],
    );
    refused(
        &with("c -> PUBLISH topic=\"a\" { edit { flip 1 } }"),
        &["unknown edit operation `flip`"],
    );
    refused(&with("c -> raw (nibble)1"), &["expected a part"]);
    refused(&with("c -> raw hex=\"0\""), &["even number of digits"]);
    refused(&with("wait soon"), &["expected a time"]);
    refused(
        &with("only \"3.2\" { c quiet }"),
        &[
            "unknown version \"3.2\"",
            "expected \"3.1\", \"3.1.1\" or \"5.0\"",
        ],
    );
    refused(
        &with("either { c closed } or { c closed }"),
        &["`or` begins a new line"],
    );
    refused(&with("c closed loudly"), &["unexpected `loudly`"]);
    refused(
        &with("c closed since=never"),
        &["no step before this one is called `never`"],
    );
    refused(
        &with("c quiet by=d topic=\"x\""),
        &["no client is called `d`"],
    );
    refused(
        &with("Client connect"),
        &["neither a word of the language nor a name for a client"],
    );
}

#[test]
fn problems_of_faults_are_told() {
    let fault = |text: &str| with(&format!("(a)c alive\nfault {text}"));
    refused(
        &with("c alive\n// no fault here: fault "),
        &["the scenario has no fault"],
    );
    refused(
        &fault("f violates=\"MQTT5-4.3.2-4\" caught-at=b { drop PINGRESP }"),
        &["no step is called `b`", "named steps: a"],
    );
    refused(
        &fault("f violates=\"MQTT5-4.3.2-5\" caught-at=a { drop PINGRESP }"),
        &["does not prove MQTT5-4.3.2-5"],
    );
    refused(
        &fault("f caught-at=a { drop PINGRESP }"),
        &["the fault violates nothing"],
    );
    refused(
        &fault("f violates=\"MQTT5-4.3.2-4\" { drop PINGRESP }"),
        &["does not say where it is caught"],
    );
    refused(
        &fault("f violates=\"MQTT5-4.3.2-4\" caught-at=a { lose PINGRESP }"),
        &["unknown fault operation `lose`"],
    );
    refused(
        &fault("f violates=\"MQTT5-4.3.2-4\" caught-at=a"),
        &["the fault `f` does nothing"],
    );
    refused(
        &fault("f violates=\"MQTT5-4.3.2-4\" caught-at=a mqtt=\"5.0\" { drop PINGRESP }"),
        &["no fault is played in MQTT 3.1.1"],
    );
    refused(
        &fault("f violates=\"MQTT5-4.3.2-4\" caught-at=a { insert PINGRESP }"),
        &["the place is missing"],
    );
    refused(
        &fault("f violates=\"MQTT5-4.3.2-4\" caught-at=a { drop PINGRESP client=d }"),
        &["no client is called `d`"],
    );
}
