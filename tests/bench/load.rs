//! Many concurrent sessions, each with follow-up tasks.

use std::time::Instant;

use futures::future::join_all;

use crate::Effort;
use crate::report::{Row, Samples};
use crate::server::{Server, milliseconds};

pub(crate) async fn load(effort: Effort) -> Vec<Row> {
    let (sessions, follow_ups) = effort.of((2_usize, 2_usize), (30, 10));
    let server = Server::start(&[]).await;
    let names: Vec<String> = (0..sessions).map(|number| format!("s{number}")).collect();
    for name in &names {
        server.task(name, "say:hello").await;
    }
    let begin = Instant::now();
    let took = join_all(names.iter().map(|name| async {
        let mut tasks = Vec::new();
        for _ in 0..follow_ups {
            let begin = Instant::now();
            server.task(name, "say:hello").await;
            tasks.push(milliseconds(begin.elapsed()));
        }
        (milliseconds(begin.elapsed()), tasks)
    }))
    .await;
    let whole = begin.elapsed().as_secs_f64();
    server.stop().await;
    let ends = Samples(took.iter().map(|(whole, _)| *whole).collect());
    let tasks = Samples(took.into_iter().flat_map(|(_, tasks)| tasks).collect());
    let of = format!("{sessions} sessions with {follow_ups} follow-ups each");
    vec![
        Row::one(format!("{of}: all together"), "tasks/s", (sessions * follow_ups) as f64 / whole),
        Row::one(format!("{of}: slowest session by the fastest"), "ratio", ends.quantile(1.0) / ends.quantile(0.0)),
        Row::one(format!("{of}: p99"), "ms", tasks.quantile(0.99)),
        Row::new(format!("{of}: one task"), "ms", tasks),
    ]
}
