//! The measurements, beside their references.

use serde_json::{Value, json};

/// Measurements of one quantity, in the order in which they were taken.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samples(pub(crate) Vec<f64>);

impl Samples {
    pub(crate) fn push(&mut self, sample: f64) {
        self.0.push(sample);
    }

    pub(crate) fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// Returns the nearest sample.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index of few samples")]
    pub(crate) fn quantile(&self, part: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().checked_sub(1).expect("nothing was measured");
        sorted[(last as f64 * part).round() as usize]
    }

    fn cell(&self) -> String {
        let median = number(self.median());
        if self.0.len() < 2 {
            return median;
        }
        format!("{median} ({}–{})", number(self.quantile(0.1)), number(self.quantile(0.9)))
    }

    fn json(&self) -> Value {
        json!({
            "median": self.median(),
            "p10": self.quantile(0.1),
            "p90": self.quantile(0.9),
            "samples": self.0,
        })
    }
}

/// The bar that the medians must meet.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bar {
    Most(f64),
    Least(f64),
    /// The median may exceed the reference by this much.
    MostMore(f64),
    /// The ratio of the median to the reference may be this large.
    MostRatio(f64),
    LeastRatio(f64),
}

#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) unit: &'static str,
    pub(crate) ours: Samples,
    pub(crate) reference: Option<(&'static str, Samples)>,
    pub(crate) bar: Option<Bar>,
}

impl Row {
    pub(crate) fn new(what: impl Into<String>, unit: &'static str, ours: Samples) -> Self {
        Row { what: what.into(), unit, ours, reference: None, bar: None }
    }

    pub(crate) fn one(what: impl Into<String>, unit: &'static str, ours: f64) -> Self {
        Self::new(what, unit, Samples(vec![ours]))
    }

    pub(crate) fn against(mut self, name: &'static str, samples: Samples) -> Self {
        self.reference = Some((name, samples));
        self
    }

    pub(crate) fn bar(mut self, bar: Bar) -> Self {
        self.bar = Some(bar);
        self
    }

    fn ratio(&self) -> Option<f64> {
        self.reference.as_ref().map(|(_, reference)| self.ours.median() / reference.median())
    }

    fn is_met(&self) -> Option<bool> {
        let ours = self.ours.median();
        let reference = || self.reference.as_ref().expect("a reference").1.median();
        Some(match self.bar? {
            Bar::Most(most) => ours <= most,
            Bar::Least(least) => ours >= least,
            Bar::MostMore(most) => ours - reference() <= most,
            Bar::MostRatio(most) => ours / reference() <= most,
            Bar::LeastRatio(least) => ours / reference() >= least,
        })
    }

    fn bar_text(&self) -> String {
        let met = match self.is_met() {
            None => return "–".to_owned(),
            Some(true) => "met",
            Some(false) => "**missed**",
        };
        let bar = match self.bar {
            None => return "–".to_owned(),
            Some(Bar::Most(most)) => format!("≤ {}", number(most)),
            Some(Bar::Least(least)) => format!("≥ {}", number(least)),
            Some(Bar::MostMore(most)) => format!("≤ {} more", number(most)),
            Some(Bar::MostRatio(most)) => format!("ratio ≤ {}", number(most)),
            Some(Bar::LeastRatio(least)) => format!("ratio ≥ {}", number(least)),
        };
        format!("{bar}: {met}")
    }

    /// A row of the table.
    pub(crate) fn line(&self) -> String {
        let reference = match &self.reference {
            Some((name, samples)) => format!("{} ({name})", samples.cell()),
            None => "–".to_owned(),
        };
        let ratio = self.ratio().map_or_else(|| "–".to_owned(), number);
        format!(
            "| {} | {} | {} | {reference} | {ratio} | {} |",
            self.what,
            self.unit,
            self.ours.cell(),
            self.bar_text()
        )
    }
}

/// Prints a Markdown table of medians, each followed by the 10th and 90th percentile.
pub(crate) fn print(rows: &[Row]) {
    println!("| what | unit | ours | reference | ratio | bar |");
    println!("|---|---|---|---|---|---|");
    for row in rows {
        println!("{}", row.line());
    }
}

pub(crate) fn json(rows: &[Row]) -> String {
    let rows: Vec<Value> = rows
        .iter()
        .map(|row| {
            json!({
                "what": row.what,
                "unit": row.unit,
                "ours": row.ours.json(),
                "reference": row.reference.as_ref().map(|(name, samples)| json!({ "name": name, "of": samples.json() })),
                "ratio": row.ratio(),
                "bar": row.bar.map(|_| row.bar_text()),
                "met": row.is_met(),
            })
        })
        .collect();
    serde_json::to_string_pretty(&rows).unwrap()
}

/// Formats a number with about three digits.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 0.1 => format!("{value:.2}"),
        0.0 => "0".to_owned(),
        _ => format!("{value:.4}"),
    }
}
