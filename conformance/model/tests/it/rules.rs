//! What each rule refuses, beside what it passes.

use quince_model::Rule;

use crate::script::{right, wrong};

/// A subscriber of `t` at `qos` on connection 1 with more `options`, and a publisher on connection 2.
fn pair(options: &str) -> String {
    format!(
        "1> connect s expiry=1000
         1< connack
         1> sub 1 t {options}
         1< suback 1 {}
         2> connect p expiry=1000
         2< connack\n",
        if options.contains("qos=2") {
            2
        } else {
            u8::from(options.contains("qos=1"))
        }
    )
}

/// `both`, then the wrong line, and then the right ones in another history.
fn beside(rule: Rule, both: &str, wrong_line: &str, right_lines: &str) {
    wrong(rule, &format!("{both}\n{wrong_line}"));
    right(&format!("{both}\n{right_lines}"));
}

#[test]
fn what_is_delivered_was_published_and_is_unaltered() {
    let sent = pair("qos=1") + "2> pub t x user=a";
    for altered in [
        "1< pub t y",
        "1< pub u x user=a",
        "1< pub t x",
        "1< pub t x user=b",
    ] {
        beside(Rule::Published, &sent, altered, "1< pub t x user=a");
    }
    beside(
        Rule::Published,
        &pair("qos=1"),
        "1< pub t -",
        "2> pub t - r\n1< pub t -",
    );
}

#[test]
fn a_delivery_has_a_subscription() {
    let sent = pair("qos=1") + "2> pub u x";
    wrong(Rule::Subscribed, &format!("{sent}\n1< pub u x"));
    let both = pair("qos=1") + "1> unsub 2 t\n1< unsuback 2\n2> pub t x";
    wrong(Rule::Subscribed, &format!("{both}\n1< pub t x"));
    right(&(pair("qos=1") + "1> unsub 2 t\n2> pub t x\n1< unsuback 2\n1< pub t x"));
    let own = |options: &str| pair(options) + "1> pub t x";
    wrong(Rule::Subscribed, &(own("nl") + "\n1< pub t x"));
    right(&(own("") + "\n1< pub t x"));
}

#[test]
fn the_lower_qos_counts() {
    let sent = pair("qos=1") + "2> pub t x qos=2 id=1";
    beside(
        Rule::GrantedQoS,
        &sent,
        "1< pub t x qos=2 id=1",
        "1< pub t x qos=1 id=1",
    );
    beside(
        Rule::GrantedQoS,
        &sent,
        "1< pub t x",
        "1< pub t x qos=1 id=1",
    );
    let low = pair("qos=2") + "2> pub t x";
    beside(
        Rule::GrantedQoS,
        &low,
        "1< pub t x qos=1 id=1",
        "1< pub t x",
    );
}

#[test]
fn subscription_identifiers_are_told() {
    let sent = pair("sid=4") + "2> pub t x";
    for told in ["", "sid=5"] {
        beside(
            Rule::SubscriptionIdentifier,
            &sent,
            &format!("1< pub t x {told}"),
            "1< pub t x sid=4",
        );
    }
}

#[test]
fn qos_2_comes_once_and_qos_1_once_for_each_time_it_was_sent() {
    let once = pair("qos=2") + "2> pub t x qos=2 id=1\n1< pub t x qos=2 id=1";
    wrong(Rule::ExactlyOnce, &format!("{once}\n1< pub t x qos=2 id=2"));
    let twice = pair("qos=1")
        + "2> pub t x qos=1 id=1
           1< pub t x qos=1 id=1
           2 aborted
           3> connect p expiry=1000
           3< connack present";
    wrong(
        Rule::ExactlyOnce,
        &format!("{twice}\n1< pub t x qos=1 id=2"),
    );
    right(&(twice + "\n3> pub t x qos=1 id=1 dup\n1< pub t x qos=1 id=2"));
    // Two filters may bring two copies.
    right(
        &(pair("qos=2")
            + "1> sub 2 # qos=2
               1< suback 2 2
               2> pub t x qos=2 id=1
               1< pub t x qos=2 id=1
               1< pub t x qos=2 id=2"),
    );
    // QoS 2 sent again is the same message still.
    let again = pair("qos=2")
        + "2> pub t x qos=2 id=1
           1< pub t x qos=2 id=1
           2 aborted
           3> connect p expiry=1000
           3< connack present
           3> pub t x qos=2 id=1 dup";
    wrong(Rule::ExactlyOnce, &(again + "\n1< pub t x qos=2 id=2"));
}

#[test]
fn what_was_taken_comes_to_who_subscribed() {
    let taken = pair("qos=1") + "2> pub t x qos=1 id=1\n2< puback 1";
    wrong(Rule::AtLeastOnce, &format!("{taken}\nfinish"));
    right(&format!(
        "{taken}\n1< pub t x qos=1 id=1\n1> puback 1\nfinish"
    ));
    // A refused one need not.
    right(&(pair("qos=1") + "2> pub t x qos=1 id=1\n2< puback 1 code=151\nfinish"));
    // A stored Session is owed it after a break as well.
    let away = pair("qos=1")
        + "1 aborted
           2> pub t x qos=1 id=1
           2< puback 1
           3> connect s expiry=1000
           3< connack present";
    wrong(Rule::AtLeastOnce, &format!("{away}\nfinish"));
    right(&(away + "\n3< pub t x qos=1 id=1\n3> puback 1\nfinish"));
}

#[test]
fn one_publishers_messages_keep_their_order() {
    let sent = pair("qos=1") + "2> pub t x qos=1 id=1\n2> pub t y qos=1 id=2";
    let late = "\n1< pub t y qos=1 id=1\n1< pub t x qos=1 id=2";
    wrong(Rule::Order, &format!("{sent}{late}"));
    right(&format!(
        "{sent}\n1< pub t x qos=1 id=1\n1< pub t y qos=1 id=2"
    ));
    // Another publisher's may come first.
    right(
        &(pair("qos=1")
            + "3> connect q\n3< connack\n2> pub t x qos=1 id=1\n3> pub t y qos=1 id=2"
            + late),
    );
}

#[test]
fn receive_maximum_counts_what_is_unanswered() {
    let one = "1> connect s expiry=9 rm=1
               1< connack
               1> sub 1 t qos=2
               1< suback 1 2
               1> pub t x qos=2 id=1
               1> pub t y qos=2 id=2
               1< pub t x qos=2 id=1";
    beside(
        Rule::ReceiveMaximum,
        one,
        "1< pub t y qos=2 id=2",
        "1> pubrec 1\n1< pubrel 1\n1> pubcomp 1\n1< pub t y qos=2 id=2",
    );
    wrong(
        Rule::ReceiveMaximum,
        &format!("{one}\n1> pubrec 1\n1< pubrel 1\n1< pub t y qos=2 id=2"),
    );
    right(&format!(
        "{one}\n1> pubrec 1 code=128\n1< pub t y qos=2 id=2"
    ));
}

#[test]
fn an_identifier_in_use_names_one_message() {
    let sent =
        pair("qos=1") + "2> pub t x qos=1 id=1\n2> pub t y qos=1 id=2\n1< pub t x qos=1 id=7";
    beside(
        Rule::PacketIdentifier,
        &sent,
        "1< pub t y qos=1 id=7",
        "1> puback 7\n1< pub t y qos=1 id=7",
    );
    let resumed = sent + "\n1 aborted\n3> connect s expiry=1000\n3< connack present";
    beside(
        Rule::PacketIdentifier,
        &resumed,
        "3< pub t y qos=1 id=7",
        "3< pub t x qos=1 id=7 dup",
    );
}

#[test]
fn what_was_in_flight_is_sent_again_and_marked() {
    let resumed = pair("qos=1")
        + "2> pub t x qos=1 id=1
           2< puback 1
           1< pub t x qos=1 id=7
           1 aborted
           3> connect s expiry=1000
           3< connack present";
    wrong(Rule::SentAgain, &format!("{resumed}\nfinish"));
    wrong(
        Rule::SentAgain,
        &format!("{resumed}\n3< pub t x qos=1 id=7"),
    );
    right(&format!(
        "{resumed}\n3< pub t x qos=1 id=7 dup\n3> puback 7\nfinish"
    ));
}

#[test]
fn session_present_is_true() {
    let first = "1> connect c expiry=10\n1< connack\n1 finished\n@9000\n";
    beside(
        Rule::SessionPresent,
        &format!("{first}2> connect c"),
        "2< connack",
        "2< connack present",
    );
    beside(
        Rule::SessionPresent,
        &format!("{first}2> connect c clean"),
        "2< connack present",
        "2< connack",
    );
    // Around the end both may be; long after it there is none.
    right("1> connect c expiry=10\n1< connack\n1 finished\n@10500\n2> connect c\n2< connack");
    right(
        "1> connect c expiry=10\n1< connack\n1 finished\n@10500\n2> connect c\n2< connack present",
    );
    beside(
        Rule::SessionPresent,
        "1> connect c expiry=10\n1< connack\n1 finished\n@11500\n2> connect c",
        "2< connack present",
        "2< connack",
    );
    beside(
        Rule::SessionPresent,
        "1> connect c v3",
        "1< connack present",
        "1< connack",
    );
}

#[test]
fn one_connection_is_served() {
    let both = "1> connect c expiry=10
                1< connack
                2> connect c expiry=10
                2< connack present
                1> ping";
    wrong(Rule::OneOwner, &format!("{both}\n1< pong"));
    // What was sent before may be answered late.
    right(
        "1> connect c expiry=10\n1< connack\n1> ping\n2> connect c expiry=10\n2< connack present\n1< pong",
    );
    // Of two at once nobody knows which is the newer one, but both is too many.
    let at_once = "1> connect c expiry=10
                   2> connect c expiry=10
                   1< connack
                   2< connack present
                   1> ping
                   2> ping";
    right(&format!("{at_once}\n1< pong\n1 closed"));
    wrong(Rule::OneOwner, &format!("{at_once}\n1< pong\n2< pong"));
}

#[test]
fn an_answer_answers_something() {
    let connected = pair("qos=1");
    for answer in [
        "pong",
        "puback 1",
        "pubrec 1",
        "pubcomp 1",
        "suback 9 0",
        "unsuback 9",
        "connack",
    ] {
        wrong(Rule::Solicited, &format!("{connected}2< {answer}"));
    }
    wrong(Rule::Solicited, "1> connect c\n1< pong");
    beside(
        Rule::Solicited,
        &format!("{connected}1> sub 3 u"),
        "1< suback 3 0 0",
        "1< suback 3 0",
    );
    beside(
        Rule::Solicited,
        &format!("{connected}2> pub t x qos=2 id=1"),
        "2< puback 1",
        "2< pubrec 1",
    );
}

#[test]
fn what_asks_is_answered() {
    for (question, answer) in [
        ("ping", "pong"),
        ("pub u x qos=1 id=4", "puback 4"),
        ("sub 4 u", "suback 4 0"),
        ("unsub 4 u", "unsuback 4"),
    ] {
        let asked = format!("{}2> {question}", pair(""));
        beside(
            Rule::Answered,
            &asked,
            "finish",
            &format!("2< {answer}\nfinish"),
        );
    }
}

#[test]
fn a_good_client_is_not_closed() {
    let connected = pair("");
    wrong(Rule::Undeserved, &format!("{connected}1 closed"));
    wrong(Rule::Undeserved, &format!("{connected}1< bye code=130"));
    wrong(Rule::Undeserved, &format!("{connected}1< bye code=142"));
    wrong(Rule::Undeserved, &format!("{connected}1< bye code=141"));
    right(&format!("{connected}1 excused\n1< bye code=130\n1 closed"));
    right(&format!("{connected}1> bye\n1 closed"));
    right(&format!(
        "{connected}3> connect s expiry=9\n1< bye code=142\n1 closed"
    ));
    right("1> connect c ka=10\n1< connack\n@15000\n1< bye code=141\n1 closed");
}

#[test]
fn reasons_are_true() {
    let sent = pair("qos=1") + "2> pub t x qos=1 id=1";
    beside(
        Rule::TrueReason,
        &sent,
        "2< puback 1 code=16",
        "2< puback 1",
    );
    right(&(pair("qos=1") + "2> pub u x qos=1 id=1\n2< puback 1 code=16"));
    let released = pair("qos=1") + "2> pub u x qos=2 id=1\n2< pubrec 1\n2> pubrel 1";
    beside(
        Rule::TrueReason,
        &released,
        "2< pubcomp 1 code=146",
        "2< pubcomp 1",
    );
}

#[test]
fn retain_is_set_as_the_subscription_says() {
    for (options, retained, plain) in [("rh=2", "", "r"), ("rap", "r", "")] {
        let sent = pair(options) + "2> pub t x r";
        beside(
            Rule::RetainFlag,
            &sent,
            &format!("1< pub t x {plain}"),
            &format!("1< pub t x {retained}"),
        );
    }
    // A server that reads retained messages late may take it for one.
    right(&(pair("") + "2> pub t x r\n1< pub t x r"));
    let live = pair("rap") + "2> pub t x";
    beside(Rule::RetainFlag, &live, "1< pub t x r", "1< pub t x");
}

/// A retained `x` that the server has taken, on connection 2; then a subscriber on connection 1.
fn kept(then: &str, options: &str) -> String {
    format!(
        "2> connect p expiry=1000
         2< connack
         2> pub t x r qos=1 id=1
         2< puback 1
         {then}
         1> connect s expiry=1000
         1< connack
         1> sub 1 t qos=1 {options}
         1< suback 1 1\n"
    )
}

#[test]
fn a_new_subscription_gets_what_is_retained() {
    let read = "1< pub t x r qos=1 id=1";
    beside(
        Rule::Retained,
        &kept("", ""),
        "finish",
        &format!("{read}\n1> puback 1\nfinish"),
    );
    right(&(kept("", "rh=2") + "finish"));
    // A deleted or replaced one does not come.
    for then in [
        "2> pub t - r qos=1 id=2\n2< puback 2",
        "2> pub t y r qos=1 id=2\n2< puback 2",
    ] {
        wrong(Rule::Retained, &(kept(then, "") + read));
    }
    // As long as the replacement is not acknowledged it may.
    right(&(kept("2> pub t y r qos=1 id=2", "") + read));
    // Once for each SUBSCRIBE.
    let once = kept("", "") + read + "\n1> puback 1\n";
    wrong(Rule::ExactlyOnce, &format!("{once}1< pub t x r qos=1 id=2"));
    right(&format!(
        "{once}1> sub 2 t qos=1\n1< suback 2 1\n1< pub t x r qos=1 id=2"
    ));
}

#[test]
fn what_is_retained_while_somebody_subscribes_comes_in_one_way_or_the_other() {
    let at_once = "1> connect s\n1< connack\n2> connect p\n2< connack
                   1> sub 1 t qos=1\n2> pub t x r qos=1 id=1\n2< puback 1\n1< suback 1 1";
    for came in ["1< pub t x qos=1 id=1", "1< pub t x r qos=1 id=1"] {
        beside(
            Rule::Retained,
            at_once,
            "finish",
            &format!("{came}\n1> puback 1\nfinish"),
        );
    }
}

#[test]
fn retained_messages_have_one_order() {
    // Two publishers, at once; the subscriber on connection 1 sees y last.
    let seen = pair("qos=1")
        + "3> connect q expiry=9
           3< connack
           2> pub t x r qos=1 id=1
           3> pub t y r qos=1 id=1
           1< pub t x qos=1 id=1
           1< pub t y qos=1 id=2
           4> connect n expiry=9
           4< connack
           4> sub 1 t qos=1\n";
    beside(
        Rule::OneOrder,
        &seen,
        "4< pub t x r qos=1 id=1",
        "4< pub t y r qos=1 id=1",
    );
    let two = "1> connect a expiry=9\n1< connack\n1> sub 1 t qos=1\n1< suback 1 1
               2> connect b expiry=9\n2< connack\n2> sub 1 t qos=1\n2< suback 1 1
               3> connect p expiry=9\n3< connack\n3> pub t x r qos=1 id=1\n3< puback 1
               4> connect q expiry=9\n4< connack\n4> pub t y r qos=1 id=1\n4< puback 1
               1< pub t x qos=1 id=1\n1> puback 1\n1< pub t y qos=1 id=2\n1> puback 2\n";
    wrong(
        Rule::OneOrder,
        &format!(
            "{two}2< pub t y qos=1 id=1\n2> puback 1\n2< pub t x qos=1 id=2\n2> puback 2\nfinish"
        ),
    );
    right(&format!(
        "{two}2< pub t x qos=1 id=1\n2> puback 1\n2< pub t y qos=1 id=2\n2> puback 2\nfinish"
    ));
}

#[test]
fn a_message_expires_and_tells_what_is_left() {
    let waits = pair("qos=1") + "1 aborted\n2> pub t x qos=1 id=1 expiry=10\n2< puback 1\n";
    let after = |time: u64| format!("{waits}@{time}\n3> connect s expiry=1000\n3< connack present");
    beside(
        Rule::Expiry,
        &after(5000),
        "3< pub t x qos=1 id=1 expiry=8",
        "3< pub t x qos=1 id=1 expiry=5",
    );
    wrong(Rule::Expiry, &(after(5000) + "\n3< pub t x qos=1 id=1"));
    wrong(
        Rule::Expiry,
        &(after(5000) + "\n3< pub t x qos=1 id=1 expiry=2"),
    );
    wrong(
        Rule::Expiry,
        &(after(13_000) + "\n3< pub t x qos=1 id=1 expiry=1"),
    );
    right(&(after(13_000) + "\nfinish"));
    let without = pair("") + "2> pub t x";
    beside(Rule::Expiry, &without, "1< pub t x expiry=5", "1< pub t x");
}

/// A subscriber of `t` on connection 1, and on connection 2 a client with the Will Message `w`.
fn with_will(more: &str) -> String {
    format!(
        "1> connect s expiry=1000\n1< connack\n1> sub 1 t qos=1\n1< suback 1 1
         2> connect w expiry=100 will=t:w {more}\n2< connack\n"
    )
}

#[test]
fn a_will_is_published_when_it_is_due_and_only_then() {
    let comes = "1< pub t w qos=1 id=1";
    let broken = with_will("") + "2 aborted\n@2000\n";
    beside(
        Rule::Will,
        &broken,
        "finish",
        &format!("{comes}\n1> puback 1\nfinish"),
    );
    // Not while the connection is well; but a client may hear later that it was not.
    wrong(
        Rule::Will,
        &(with_will("") + comes + "\n1> puback 1\nfinish"),
    );
    right(&(with_will("ka=10") + "@15000\n" + comes + "\n1> puback 1\n2 closed\nfinish"));
    // Not after DISCONNECT 0x00, but after any other.
    wrong(
        Rule::Will,
        &(with_will("") + "2> bye\n2 finished\n" + comes),
    );
    right(&(with_will("") + "2> bye code=4\n2 finished\n" + comes));
    wrong(
        Rule::ExactlyOnce,
        &(broken + comes + "\n1< pub t w qos=1 id=2"),
    );
}

#[test]
fn a_will_waits_for_its_delay_and_not_for_a_session_that_goes_on() {
    let comes = "1< pub t w qos=1 id=1";
    let broken = with_will("delay=10") + "2 aborted\n";
    wrong(Rule::Will, &format!("{broken}@9000\n{comes}"));
    right(&format!("{broken}@10000\n{comes}"));
    wrong(Rule::Will, &format!("{broken}@12000\nfinish"));
    let goes_on = broken + "@5000\n3> connect w expiry=100\n3< connack present\n@12000\n";
    beside(Rule::Will, &goes_on, comes, "finish");
}

#[test]
fn a_shared_subscription_gives_to_one_member() {
    let group = "1> connect a expiry=9\n1< connack\n1> sub 1 $share/g/t qos=2\n1< suback 1 2
                 2> connect b expiry=9\n2< connack\n2> sub 1 $share/g/t qos=2\n2< suback 1 2
                 3> connect p expiry=9\n3< connack\n3> pub t x qos=2 id=1\n3< pubrec 1\n3> pubrel 1\n3< pubcomp 1\n";
    wrong(Rule::Shared, &format!("{group}finish"));
    let first = format!("{group}1< pub t x qos=2 id=1\n");
    wrong(Rule::Shared, &format!("{first}2< pub t x qos=2 id=1"));
    right(&format!(
        "{first}1> pubrec 1\n1< pubrel 1\n1> pubcomp 1\nfinish"
    ));
}
