//! The declared order of a crate's modules, and what does not keep to it.

use crate::mir::Use;
use std::collections::{BTreeMap, BTreeSet};

/// A pair of modules of which the first stands above the second in the list, and uses it.
pub type Knot = (String, String);

/// The modules that a crate root declares, in order: each may use those that stand before it.
pub fn declared(root: &str) -> Vec<String> {
    let mut test_only = false;
    let mut names = Vec::new();
    for line in root.lines().map(str::trim) {
        let declaration = ["pub ", "pub(crate) "].iter().find_map(|word| line.strip_prefix(word)).unwrap_or(line);
        if let Some(name) = declaration.strip_prefix("mod ").and_then(|rest| rest.strip_suffix(';')).filter(|_| !test_only) {
            names.push(name.to_owned());
        }
        test_only = line == "#[cfg(test)]";
    }
    names
}

/// What a `mod.rs` says whose files stand in their order, too.
const ORDERED: &str = "each using only those above it";

/// Whether a folder declares an order of its own: its `mod.rs` says so, at its head.
pub fn is_ordered(module: &str) -> bool {
    let head: Vec<_> = module.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim).collect();
    head.join(" ").contains(ORDERED)
}

/// The uses inside of a folder, with paths that begin there: `a::b::c` is `b::c` in the folder `a`.
pub fn inside(folder: &str, uses: &BTreeSet<Use>) -> BTreeSet<Use> {
    let below = |path: &str| path.strip_prefix(folder)?.strip_prefix("::").map(str::to_owned);
    uses.iter().filter_map(|used| Some(Use { by: below(&used.by)?, of: below(&used.of)? })).collect()
}

/// The module that a path begins with: `a` for `a::b`, for `<impl at src/a/b.rs:1:2: 3:4>::c`, and for `<impl a::B>::c`.
pub fn module<'a>(path: &'a str, order: &[String]) -> Option<&'a str> {
    let first = path.trim_start_matches("<impl ").split(|c: char| !c.is_alphanumeric() && c != '_').next()?;
    order.iter().any(|name| name == first).then_some(first)
}

/// The pairs that look down, each with its first few uses.
pub fn knots(order: &[String], uses: &BTreeSet<Use>) -> BTreeMap<Knot, Vec<Use>> {
    let place = |name: &str| order.iter().position(|listed| listed == name);
    let mut found: BTreeMap<Knot, Vec<Use>> = BTreeMap::new();
    for used in uses {
        let (Some(here), Some(there)) = (module(&used.by, order), module(&used.of, order)) else {
            continue;
        };
        if place(there) > place(here) {
            found.entry((here.to_owned(), there.to_owned())).or_default().push(used.clone());
        }
    }
    found
}

/// The circles: sets of modules each of which uses each, directly or by others of the set.
pub fn circles(order: &[String], uses: &BTreeSet<Use>) -> Vec<Vec<String>> {
    let mut reach: BTreeSet<(&str, &str)> =
        uses.iter().filter_map(|used| Some((module(&used.by, order)?, module(&used.of, order)?))).collect();
    for middle in order {
        let to: Vec<_> = reach.iter().filter(|(_, to)| to == middle).map(|(from, _)| *from).collect();
        let on: Vec<_> = reach.iter().filter(|(from, _)| from == middle).map(|(_, to)| *to).collect();
        reach.extend(to.iter().flat_map(|from| on.iter().map(move |to| (*from, *to))));
    }
    let mut circles: Vec<Vec<String>> = Vec::new();
    for name in order {
        let circle: Vec<_> = order
            .iter()
            .filter(|other| reach.contains(&(name, other.as_str())) && reach.contains(&(other.as_str(), name)))
            .cloned()
            .collect();
        if circle.len() > 1 && !circles.contains(&circle) {
            circles.push(circle);
        }
    }
    circles
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uses(pairs: &[(&str, &str)]) -> BTreeSet<Use> {
        pairs.iter().map(|(by, of)| Use { by: (*by).to_owned(), of: (*of).to_owned() }).collect()
    }

    #[test]
    fn the_order_is_that_of_the_root() {
        let root =
            "//! mod no;\npub mod low;\n\n// Words.\nmod middle;\npub(crate) mod high;\n#[cfg(test)]\nmod model;\nmod inline {";
        assert_eq!(declared(root), ["low", "middle", "high"]);
    }

    #[test]
    fn folders_say_that_they_are_ordered() {
        assert!(is_ordered(
            "//! Pages.\n//!\n//! The files stand in their order, each using only\n//! those above it.\n\nmod low;"
        ));
        assert!(!is_ordered("//! Pages.\n\n// each using only those above it\nmod low;"));
        let order = ["low", "high"].map(str::to_owned);
        let uses =
            uses(&[("a::low::<impl b::T>::f", "a::high::<impl b::T>::g"), ("a::high::h", "b::low::i"), ("a::f", "a::high::h")]);
        let knots = knots(&order, &inside("a", &uses));
        assert_eq!(knots.into_keys().collect::<Vec<_>>(), [("low".to_owned(), "high".to_owned())]);
    }

    #[test]
    fn looking_down_is_a_knot_and_looking_both_ways_a_circle() {
        let order = ["low", "middle", "high"].map(str::to_owned);
        let uses = uses(&[
            ("high::f", "low::g"),
            ("middle::<impl low::T>::f", "high::<impl low::T>::g"),
            ("high::<impl low::T>::g", "middle::f"),
            ("core::f", "low::g"),
        ]);
        let knots = knots(&order, &uses);
        assert_eq!(knots.into_keys().collect::<Vec<_>>(), [("middle".to_owned(), "high".to_owned())]);
        assert_eq!(circles(&order, &uses), [["middle", "high"]]);
    }
}
