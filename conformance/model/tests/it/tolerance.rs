//! What the specification leaves open, or the network hides, is not refused.

use quince_model::{Bounds, Rule};

use crate::script::{BOUNDS, judge_within, right, wrong};

#[test]
fn a_delivery_may_come_before_suback() {
    right(
        "1> connect s\n1< connack\n1> sub 1 t qos=1
         2> connect p\n2< connack\n2> pub t x qos=1 id=1
         1< pub t x qos=1 id=1\n1< suback 1 1",
    );
}

#[test]
fn a_queue_that_may_have_been_full_may_have_lost_messages() {
    let script = "1> connect s\n1< connack\n1> sub 1 t qos=1\n1< suback 1 1
                  2> connect p\n2< connack
                  2> pub t x qos=1 id=1\n2< puback 1\n2> pub t y qos=1 id=2\n2< puback 2
                  1< pub t y qos=1 id=1\n1> puback 1\nfinish";
    let small = Bounds {
        queue_messages: 1,
        ..BOUNDS
    };
    assert_eq!(judge_within(small, script), Ok(()));
    wrong(Rule::AtLeastOnce, script);
    // A stored Session loses nothing, where that is promised.
    let stored = script.replace("connect s", "connect s expiry=9");
    let refused = judge_within(small, &stored).expect_err("lost");
    assert_eq!(refused.rule, Rule::AtLeastOnce);
    let promises_less = Bounds {
        stored_lose_nothing: false,
        ..small
    };
    assert_eq!(judge_within(promises_less, &stored), Ok(()));
}

#[test]
fn the_order_of_two_publishers_is_a_promise_of_its_own() {
    let script = "1> connect s\n1< connack\n1> sub 1 t qos=1\n1< suback 1 1
                  2> connect p\n2< connack\n3> connect q\n3< connack
                  2> pub t x r qos=1 id=1\n3> pub t y r qos=1 id=1
                  1< pub t x qos=1 id=1\n1< pub t y qos=1 id=2
                  4> connect n\n4< connack\n4> sub 1 t qos=1\n4< pub t x r qos=1 id=1";
    let not_promised = Bounds {
        one_order_of_retained: false,
        ..BOUNDS
    };
    assert_eq!(judge_within(not_promised, script), Ok(()));
    wrong(Rule::OneOrder, script);
}

#[test]
fn a_qos_1_delivery_comes_again_though_the_client_answered() {
    right(
        "1> connect s expiry=9\n1< connack\n1> sub 1 t qos=1\n1< suback 1 1
         1> pub t x qos=1 id=1\n1< pub t x qos=1 id=1\n1> puback 1\n1 aborted
         2> connect s expiry=9\n2< connack present\n2< pub t x qos=1 id=1 dup",
    );
}

#[test]
fn of_two_connections_at_once_either_may_be_the_newer() {
    let at_once = "1> connect c expiry=9 clean\n2> connect c expiry=9 clean\n";
    for order in [
        "1< connack\n2< connack",
        "2< connack\n1< connack",
        "1< connack code=137\n2< connack",
    ] {
        right(&format!("{at_once}{order}"));
    }
}

#[test]
fn a_connect_that_was_given_up_may_have_been_taken() {
    let given_up = "1> connect c expiry=9\n1 aborted\n2> connect c expiry=9\n";
    right(&format!("{given_up}2< connack"));
    right(&format!("{given_up}2< connack present"));
    // What a clean start may have ended is not owed.
    right(
        "1> connect s expiry=99\n1< connack\n1> sub 1 t qos=1\n1< suback 1 1\n1 aborted
         2> connect s expiry=99 clean\n2 aborted
         3> connect p\n3< connack\n3> pub t x qos=1 id=1\n3< puback 1\n@2000
         4> connect s expiry=99\n4< connack present\nfinish",
    );
}

#[test]
fn a_connect_that_was_given_up_may_come_behind_a_later_one() {
    // It ended the Session of the one that came after it, or made a new one behind it.
    for (first, second, third) in [
        ("v3 clean", "v3", "v3"),
        ("v3", "v3 clean", "v3"),
        ("expiry=9", "expiry=0 clean", "expiry=9"),
    ] {
        for present in ["", "present"] {
            right(&format!(
                "1> connect c {first}\n1 aborted
                 2> connect c {second}\n2< connack\n2 closed
                 3> connect c {third}\n3< connack {present}"
            ));
        }
    }
    wrong(
        Rule::SessionPresent,
        "1> connect c v3\n1 aborted\n@2000\n2> connect c v3 clean\n2< connack\n2 finished
         @4000\n3> connect c v3\n3< connack present",
    );
}

#[test]
fn a_late_acknowledgement_does_not_end_what_was_sent_again() {
    let again = "1> connect p expiry=9\n1< connack\n1> pub t x qos=1 id=1
         2> connect p expiry=9\n2< connack present\n2> pub t x qos=1 id=1 dup";
    let subscribed = "3> connect s\n3< connack\n3> sub 1 t qos=1\n3< suback 1 1";
    right(&format!(
        "{again}\n1< puback 1\n{subscribed}\n3< pub t x qos=1 id=1"
    ));
    wrong(
        Rule::Subscribed,
        &format!("{again}\n2< puback 1\n{subscribed}\n3< pub t x qos=1 id=1"),
    );
}

#[test]
fn a_disconnect_may_be_overtaken_by_a_new_connection() {
    right(
        "1> connect s\n1< connack\n1> sub 1 t qos=1\n1< suback 1 1
         2> connect w expiry=9 will=t:w\n2< connack\n2> bye\n2 finished
         3> connect w expiry=9\n3< connack present\n1< pub t w qos=1 id=1",
    );
}

#[test]
fn what_a_member_left_over_goes_to_another() {
    right(
        "1> connect a\n1< connack\n1> sub 1 $share/g/t qos=1\n1< suback 1 1
         3> connect p\n3< connack\n3> pub t x qos=1 id=1\n3< puback 1
         1< pub t x qos=1 id=1\n1 aborted
         2> connect b\n2< connack\n2> sub 1 $share/g/t qos=1\n2< suback 1 1
         2< pub t x qos=1 id=1\n2> puback 1\nfinish",
    );
}

#[test]
fn a_session_that_ended_sends_its_will_though_a_newer_one_goes_on() {
    let script = |second: &str| {
        format!(
            "1> connect s\n1< connack\n1> sub 1 t qos=1\n1< suback 1 1
             2> connect w expiry=99 will=t:w delay=10\n2< connack
             {second}
             4> connect w expiry=99\n4< connack present\n1< pub t w qos=1 id=1"
        )
    };
    right(&script("3> connect w expiry=99 clean\n3< connack"));
    wrong(
        Rule::Will,
        &script("3> connect w expiry=99\n3< connack present"),
    );
}

#[test]
fn a_retained_delivery_that_comes_again_may_be_the_first_that_is_seen() {
    right(
        "1> connect s expiry=9\n1< connack\n1> sub 1 t qos=1\n1< suback 1 1
         3> connect p\n3< connack\n3> pub t x r qos=1 id=1\n3< puback 1
         1< pub t x qos=1 id=1\n1> puback 1\n1> sub 2 # qos=1\n1< suback 2 1\n1 aborted
         2> connect s expiry=9\n2< connack present\n2< pub t x r qos=1 id=2 dup\n2> puback 2\nfinish",
    );
}
