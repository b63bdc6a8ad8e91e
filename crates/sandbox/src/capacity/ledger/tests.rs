use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{Decision, Ledger, Payer, Ticket, Use};

#[derive(Clone, Copy, Debug)]
enum Step {
    Request,
    Adopt,
    Spare,
    /// The numbers of this and the following steps select a claim among the existing ones.
    Release(usize),
    Busy(usize),
    Idle(usize),
    GiveUp(usize),
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Request),
        1 => Just(Step::Adopt),
        1 => Just(Step::Spare),
        3 => any::<usize>().prop_map(Step::Release),
        2 => any::<usize>().prop_map(Step::Busy),
        3 => any::<usize>().prop_map(Step::Idle),
        1 => any::<usize>().prop_map(Step::GiveUp),
    ]
}

/// All tickets that are held, in order.
fn holders(ledger: &Ledger) -> Vec<Ticket> {
    ledger.held.keys().copied().collect()
}

/// Applies the decisions: every evicted sandbox ends.
fn obey(ledger: &mut Ledger, decisions: &[Decision], granted: &mut Vec<Ticket>) {
    for decision in decisions {
        match decision {
            Decision::Granted(ticket) => granted.push(*ticket),
            Decision::Evict(ticket) => ledger.release(*ticket),
        }
    }
}

proptest! {
    /// Checks any sequence of steps: claims never exceed the limit, grants follow the order of claims, no claim waits while there
    /// is room, and as many sandboxes are evicted as are missing, if there are enough to evict.
    #[test]
    fn nobody_is_passed_over(limit in 1_usize..5, steps in proptest::collection::vec(steps(), 0..200)) {
        let mut ledger = Ledger::new(limit);
        let mut asked: Vec<Ticket> = Vec::new();
        let mut granted: Vec<Ticket> = Vec::new();
        let mut gone: BTreeSet<Ticket> = BTreeSet::new();
        let mut adopted = 0;
        for step in steps {
            let pick = |index: usize, ledger: &Ledger| {
                let all: Vec<Ticket> = holders(ledger).into_iter().chain(ledger.waiting.iter().map(|(ticket, _)| *ticket)).collect();
                (!all.is_empty()).then(|| all[index % all.len()])
            };
            match step {
                Step::Request => asked.push(ledger.request(None)),
                Step::Adopt => {
                    ledger.adopt();
                    adopted += 1;
                }
                Step::Spare => {
                    let somebody_waits = !ledger.waiting.is_empty();
                    prop_assert!(ledger.spare().is_none() || !somebody_waits);
                }
                Step::Release(index) => {
                    if let Some(ticket) = pick(index, &ledger) {
                        if ledger.position(ticket).is_some() {
                            gone.insert(ticket);
                        }
                        ledger.release(ticket);
                    }
                }
                Step::Busy(index) => {
                    if let Some(ticket) = pick(index, &ledger) {
                        ledger.busy(ticket);
                    }
                }
                Step::Idle(index) => {
                    if let Some(ticket) = pick(index, &ledger) {
                        ledger.idle(ticket);
                    }
                }
                Step::GiveUp(index) => {
                    if let Some(ticket) = pick(index, &ledger) {
                        ledger.yield_slot(ticket);
                    }
                }
            }
            let before = granted.len();
            for decision in ledger.settle(|_| true) {
                if let Decision::Granted(ticket) = decision {
                    granted.push(ticket);
                }
            }
            prop_assert!(granted.len() == before || ledger.held() <= limit.max(1) + adopted);
            prop_assert!(ledger.waiting() == 0 || !ledger.has_room(), "a claim waits although there is room");
            let can_go = ledger.held.values().any(|held| matches!(held.used, Use::Idle(_) | Use::Spare));
            prop_assert!(!ledger.is_short() || !can_go, "somebody waits and an idle one stays");
            let expected: Vec<Ticket> =
                asked.iter().filter(|ticket| !gone.contains(ticket)).take(granted.len()).copied().collect();
            prop_assert_eq!(&granted, &expected, "not in the order of asking");
        }
    }

    /// While tasks end, every claiming session is served, however often others claim again.
    #[test]
    fn no_session_starves(limit in 1_usize..4, sessions in 2_usize..8, order in proptest::collection::vec(any::<usize>(), 100..200)) {
        let mut ledger = Ledger::new(limit);
        let mut granted = Vec::new();
        let patient = {
            for _ in 0..sessions {
                ledger.request(None);
            }
            ledger.request(None)
        };
        let ahead = ledger.position(patient).unwrap();
        let mut ends = 0;
        for index in order {
            let decisions = ledger.settle(|_| true);
            obey(&mut ledger, &decisions, &mut granted);
            if granted.contains(&patient) {
                break;
            }
            // A task ends, and its session claims again at once.
            let held = holders(&ledger);
            ledger.release(held[index % held.len()]);
            ledger.request(None);
            ends += 1;
        }
        prop_assert!(granted.contains(&patient));
        prop_assert!(ends <= ahead + 1, "it waited for {ends} tasks with {ahead} ahead of it");
    }
}

#[test]
fn warm_ones_go_first_and_then_the_longest_idle() {
    let mut ledger = Ledger::new(3);
    let (first, second) = (ledger.adopt(), ledger.adopt());
    let spare = ledger.spare().unwrap();
    ledger.idle(second);
    ledger.idle(first);
    let (third, fourth, fifth) = (ledger.request(None), ledger.request(None), ledger.request(None));
    assert_eq!(
        ledger.settle(|_| true),
        [Decision::Evict(spare), Decision::Evict(second), Decision::Evict(first)],
        "the longest idle goes before the one that was idle later"
    );
    assert_eq!(ledger.settle(|_| true), [], "they are asked once");
    // One of them gets a new task in the meantime and stays.
    ledger.busy(second);
    ledger.release(spare);
    assert_eq!(ledger.settle(|_| true), [Decision::Granted(third)]);
    assert!(ledger.is_short());
    ledger.release(first);
    assert_eq!(ledger.settle(|_| true), [Decision::Granted(fourth)]);
    assert_eq!((ledger.position(fourth), ledger.position(fifth)), (None, Some(0)));
}

#[test]
fn memory_holds_a_start_back_and_never_the_first_one() {
    let mut ledger = Ledger::new(10);
    let (first, second) = (ledger.request(None), ledger.request(None));
    assert_eq!(ledger.settle(|_| false), [Decision::Granted(first)]);
    assert!(ledger.spare().is_none(), "nothing is started ahead of one that waits");
    ledger.busy(first);
    assert_eq!(ledger.settle(|_| false), []);
    assert!(ledger.is_short(), "a busy session lets one go first that waits for memory");
    ledger.idle(first);
    assert_eq!(ledger.settle(|_| false), [Decision::Evict(first)], "idle ones make room for memory too");
    ledger.release(first);
    assert_eq!(ledger.settle(|starting| starting > 0), [Decision::Granted(second)]);
}

fn payer(number: usize) -> Payer {
    format!("key{number}").parse().ok()
}

proptest! {
    /// Sandboxes go to the payer who has the fewest, whatever is asked for and whichever task ends.
    #[test]
    fn slots_are_shared_equally(
        limit in 1_usize..8,
        asked in proptest::collection::vec(0_usize..3, 1..60),
        ends in proptest::collection::vec(any::<usize>(), 0..100),
    ) {
        let mut ledger = Ledger::new(limit);
        let settle = |ledger: &mut Ledger| {
            let granted: Vec<Ticket> = ledger
                .settle(|_| true)
                .into_iter()
                .filter_map(|decision| if let Decision::Granted(ticket) = decision { Some(ticket) } else { None })
                .collect();
            let counts = ledger.counts();
            let count = |payer: &Payer| counts.get(payer).copied().unwrap_or(0);
            for ticket in granted {
                let payer = &ledger.held[&ticket].payer;
                for (_, other) in &ledger.waiting {
                    prop_assert!(count(payer) <= count(other) + 1, "{payer:?} got one before {other:?}");
                }
            }
            Ok(())
        };
        for number in asked {
            let ticket = ledger.request(payer(number));
            settle(&mut ledger)?;
            ledger.busy(ticket);
        }
        for index in ends {
            let held = holders(&ledger);
            if held.is_empty() {
                break;
            }
            ledger.release(held[index % held.len()]);
            settle(&mut ledger)?;
        }
    }
}

#[test]
fn a_payer_with_many_claims_keeps_no_other_waiting() {
    let mut ledger = Ledger::new(2);
    let greedy: Vec<Ticket> = (0..50).map(|_| ledger.request(payer(0))).collect();
    ledger.settle(|_| true);
    let other = ledger.request(payer(1));
    assert_eq!(ledger.position(other), Some(0));
    assert_eq!(ledger.position(greedy[2]), Some(1), "it has two already");
    ledger.release(greedy[0]);
    assert_eq!(ledger.settle(|_| true), [Decision::Granted(other)]);
    // Both have one now, and only the first one has claims.
    ledger.release(other);
    assert_eq!(ledger.settle(|_| true), [Decision::Granted(greedy[2])]);
}

#[test]
fn idle_sandboxes_of_the_payer_who_has_most_go_first() {
    let mut ledger = Ledger::new(3);
    let tickets = [ledger.request(payer(1)), ledger.request(payer(0)), ledger.request(payer(0))];
    ledger.settle(|_| true);
    for ticket in tickets {
        ledger.idle(ticket);
    }
    ledger.request(payer(2));
    assert_eq!(ledger.settle(|_| true), [Decision::Evict(tickets[1])], "the first payer's has been idle for longer");
    // A sandbox counts for the payer of its last task.
    ledger.assign(tickets[0], payer(0));
    assert_eq!(ledger.counts(), [(&payer(0), 2)].into());
}
