//! All results, for other programs.

use crate::results::Comparison;

/// The comparison as one JSON object.
pub fn render(comparison: &Comparison) -> serde_json::Result<String> {
    serde_json::to_string_pretty(comparison).map(|text| text + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::sample;
    use serde_json::Value;

    #[test]
    fn the_figures_keep_the_names_of_the_statistics_files() {
        let text = render(&sample::comparison()).expect("JSON");
        let value: Value = serde_json::from_str(&text).expect("good JSON");
        let at = |path: &str| value.pointer(path).cloned().unwrap_or(Value::Null);
        assert_eq!(at("/settings/0/statistics/faults/first_touch"), 5000);
        assert_eq!(at("/settings/0/difference"), Value::Null);
        assert_eq!(at("/settings/1/last_words"), "vmalloc: help");
        assert_eq!(at("/native/ending"), "exit status 0");
    }
}
