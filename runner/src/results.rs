//! What a comparison found, before anybody prints it.

use serde::Serialize;

use crate::statistics::Totals;

/// All that `vmalloc compare` found out.
#[derive(Serialize)]
pub struct Comparison {
    pub command: Vec<String>,
    pub runs: u32,
    pub native: Native,
    pub settings: Vec<Row>,
}

/// The reference: the program without the library.
#[derive(Serialize)]
pub struct Native {
    pub seconds: f64,
    pub ending: String,
}

/// One policy with one arena size.
#[derive(Serialize)]
pub struct Row {
    pub policy: String,
    pub arena: u64,
    pub swap: u64,
    pub seconds: f64,
    /// Time as a multiple of the native run's.
    pub relative: f64,
    pub statistics: Option<Totals>,
    /// What differs from the native run; `None` if nothing does.
    pub difference: Option<String>,
    /// The last line on standard error of a run that differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_words: Option<String>,
}

impl Comparison {
    /// Whether the program did the same everywhere.
    pub fn is_same(&self) -> bool {
        self.settings.iter().all(|row| row.difference.is_none())
    }

    /// What the reader may want to know about the table: differences, and better settings.
    pub fn notes(&self) -> Vec<String> {
        let mut notes: Vec<_> = self.settings.iter().filter_map(Row::note).collect();
        let totals: Vec<_> = self.settings.iter().filter_map(|row| row.statistics.as_ref()).collect();
        if totals.len() < self.settings.len() {
            notes.push(
                "a run without figures left no statistics: it ended before it could write them, \
                 or the library was never loaded"
                    .into(),
            );
        }
        if !totals.is_empty() && totals.iter().all(|totals| totals.evictions() == 0) {
            notes.push("no run evicted a page: smaller --arenas would put the policies to work".into());
        }
        notes
    }
}

impl Row {
    fn note(&self) -> Option<String> {
        let difference = self.difference.as_ref()?;
        let arena = vmcore::units::HumanSize(self.arena);
        let words = match &self.last_words {
            Some(words) => format!("; it said: {words}"),
            None => String::new(),
        };
        Some(format!("{} {arena}: {difference}{words}", self.policy))
    }
}

/// Results for the tests of this crate.
#[cfg(test)]
pub mod sample {
    use super::*;
    use crate::statistics::Statistics;

    /// Two rows: one that is the same and paged, one that differs and has no statistics.
    pub fn comparison() -> Comparison {
        let json = br#"{"faults": {"first_touch": 5000, "swap_in": 120},
            "evictions": {"dirty": 70}, "swap": {"bytes_read": 491520, "bytes_written": 1572864}}"#;
        let mut totals = Totals::default();
        totals.add(&Statistics::parse(json).expect("good JSON"));
        let row = |policy: &str, statistics, difference: Option<&str>| Row {
            policy: policy.into(),
            arena: 1 << 20,
            swap: 16 << 20,
            seconds: 3.0,
            relative: 1.5,
            statistics,
            difference: difference.map(String::from),
            last_words: difference.map(|_| "vmalloc: help".into()),
        };
        Comparison {
            command: vec!["sort".into(), "a|b".into()],
            runs: 1,
            native: Native { seconds: 2.0, ending: "exit status 0".into() },
            settings: vec![row("fifo", Some(totals), None), row("clock", None, Some("death by SIGBUS instead of exit status 0"))],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_name_what_differs_and_what_is_missing() {
        let comparison = sample::comparison();
        assert!(!comparison.is_same());
        let notes = comparison.notes();
        assert_eq!(
            notes.first().map(String::as_str),
            Some("clock 1M: death by SIGBUS instead of exit status 0; it said: vmalloc: help")
        );
        assert_eq!(notes.len(), 2, "{notes:?}");
    }

    #[test]
    fn a_comparison_that_never_paged_says_so() {
        let mut comparison = sample::comparison();
        for row in &mut comparison.settings {
            row.difference = None;
            row.statistics = Some(Totals::default());
        }
        assert!(comparison.is_same());
        let notes = comparison.notes();
        assert!(notes.len() == 1 && notes.iter().all(|note| note.contains("--arenas")));
    }
}
