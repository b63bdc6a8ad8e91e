//! Usage, queried in several ways.

use domain::usage::{Charge, CliCharge, Cost, Dimension, OpenRequest, Usage, UsageFilter};

use super::fixture::open;
use crate::{Change, Store};

/// Adds one request of a key, in a session, with this cost in nano-dollars.
async fn charge(store: &Store, id: u64, day: &str, key: &str, session: &str, nanos: u64) {
    let request = OpenRequest {
        id,
        day: day.parse().unwrap(),
        key: key.parse().ok(),
        session: session.parse().ok(),
        task: None,
        model: "asked".to_owned(),
        estimate: Cost::from_nano_dollars(1_000_000),
    };
    let charge = Charge {
        model: "answered".to_owned(),
        usage: Usage { requests: 1, output_tokens: 5, ..Usage::default() },
        cost: Cost::from_nano_dollars(nanos),
        estimated: Cost::ZERO,
        assumed: Cost::from_nano_dollars(nanos),
    };
    let settle = Change::SettleRequest { id, charge };
    // A request is settled once, however often the change comes.
    store.commit(vec![Change::OpenRequest(request), settle.clone(), settle]).await.unwrap();
}

fn all() -> UsageFilter {
    UsageFilter {
        from: "2026-01-01".parse().unwrap(),
        to: "2026-12-31".parse().unwrap(),
        keys: Vec::new(),
        session: None,
        session_prefix: None,
        model: None,
    }
}

#[tokio::test]
async fn usage_is_added_up_and_filtered() {
    let (_directory, store) = open();
    charge(&store, 1, "2026-11-20", "k1", "a_1", 1).await;
    charge(&store, 2, "2026-11-21", "k1", "a_1", 10).await;
    charge(&store, 3, "2026-11-21", "k2", "a%2", 100).await;
    charge(&store, 4, "2026-11-21", "", "", 1000).await;
    let cli = CliCharge {
        day: "2026-11-21".parse().unwrap(),
        key: Some("k1".parse().unwrap()),
        session: "a_1".parse().unwrap(),
        cost: Cost::from_nano_dollars(7),
    };
    store.commit(vec![Change::AddCliCharge(cli)]).await.unwrap();

    let costs = |filter: UsageFilter, by: Vec<Dimension>| {
        let store = store.clone();
        async move {
            let report = store.usage(&filter, &by, 100).await.unwrap();
            let row = |row: &domain::usage::UsageRow| {
                let names: Vec<String> = row.group.values().cloned().collect();
                (names.join("/"), row.cost.nano_dollars(), row.cli_cost.map(Cost::nano_dollars))
            };
            assert_eq!(report.totals.cost, report.rows.iter().map(|row| row.cost).sum());
            assert_eq!(report.totals.assumed, report.totals.cost);
            assert!(report.rows.iter().all(|row| row.assumed == row.cost));
            report.rows.iter().map(row).collect::<Vec<_>>()
        }
    };
    let row = |name: &str, cost: u64, cli: Option<u64>| (name.to_owned(), cost, cli);
    assert_eq!(
        costs(all(), vec![Dimension::Day]).await,
        [row("2026-11-21", 1110, Some(7)), row("2026-11-20", 1, Some(0))]
    );
    assert_eq!(
        costs(all(), vec![Dimension::Key]).await,
        [row("", 1000, Some(0)), row("k1", 11, Some(7)), row("k2", 100, Some(0))]
    );
    assert_eq!(costs(all(), vec![Dimension::Model]).await, [row("answered", 1111, None)]);
    let of = |keys: &[&str]| UsageFilter { keys: keys.iter().map(|key| key.parse().unwrap()).collect(), ..all() };
    assert_eq!(costs(of(&["k1"]), vec![Dimension::Session]).await, [row("a_1", 11, Some(7))]);
    assert_eq!(costs(of(&["k1", "k2"]), vec![Dimension::Session]).await, [], "both filters together match nothing");
    // Neither prefix is treated as a pattern.
    let prefix = |prefix: &str| UsageFilter { session_prefix: Some(prefix.to_owned()), ..all() };
    assert_eq!(costs(prefix("a_"), vec![Dimension::Session]).await, [row("a_1", 11, Some(7))]);
    assert_eq!(costs(prefix("a%"), vec![Dimension::Session]).await, [row("a%2", 100, Some(0))]);
    let day = UsageFilter { to: "2026-11-20".parse().unwrap(), ..all() };
    assert_eq!(costs(day, vec![Dimension::Day]).await, [row("2026-11-20", 1, Some(0))]);

    let cut = store.usage(&all(), &[Dimension::Key], 2).await.unwrap();
    assert_eq!((cut.rows.len(), cut.truncated, cut.totals.cost.nano_dollars()), (2, true, 1111));
}
