//! Who uses whom, by the compiler's own account: the MIR of a crate, with paths in full.
//!
//! A function uses every module that a path in its body, its signature or the types of its locals leads into: functions
//! and methods that it calls or hands on, statics, types. A call through a trait object or a type parameter leads to the
//! trait, not to who implements it: that is what a trait is for. A call of a trait's method on a known type leads to where
//! the implementation stands, which the source says ([`Impls`]).

use std::collections::{BTreeMap, BTreeSet};

/// One use: the function, and the path in it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Use {
    /// The path of the function, constant or static.
    pub by: String,
    /// The path that stands in it.
    pub of: String,
}

/// Where `impl Trait for Type` stands: the last words of trait and type, and the modules.
pub type Impls = BTreeMap<(String, String), BTreeSet<String>>;

/// The uses in the MIR of a crate whose modules have these names.
pub fn uses(mir: &str, modules: &[String], impls: &Impls) -> BTreeSet<Use> {
    let mut found = BTreeSet::new();
    let mut by = String::new();
    for line in mir.lines() {
        if let Some(path) = begins(line) {
            by = path.to_owned();
        }
        // Lines of a memory dump.
        if by.is_empty() || line.contains('│') {
            continue;
        }
        let line = without_literals(line);
        let mut note = |of: &str| {
            found.insert(Use { by: by.clone(), of: of.to_owned() });
        };
        // Derived code names foreign crates by a `_` in the module that it stands in.
        let ours = |path: &&str| !path.contains("::_::") && modules.iter().any(|module| module == first(path));
        for path in paths(&line).filter(ours) {
            note(path);
        }
        for (kind, of) in trait_calls(&line) {
            impls.get(&(last(of).to_owned(), last(kind).to_owned())).into_iter().flatten().for_each(|module| note(module));
        }
    }
    found
}

/// The path of the function, constant or static whose body begins in this line.
pub fn begins(line: &str) -> Option<&str> {
    let rest = ["fn ", "const ", "static mut ", "static "].iter().find_map(|word| line.strip_prefix(word))?;
    let end = match line.starts_with("fn ") {
        true => rest.find("(_").or_else(|| rest.find("() ->"))?,
        false => rest.match_indices(": ").map(|(at, _)| at).find(|at| !rest[..*at].ends_with(|c: char| c.is_ascii_digit()))?,
    };
    Some(&rest[..end])
}

/// The line with its string literals empty.
fn without_literals(line: &str) -> String {
    let mut kept = String::with_capacity(line.len());
    let (mut inside, mut escaped) = (false, false);
    for c in line.chars() {
        match (inside, c) {
            _ if escaped => escaped = false,
            (true, '\\') => escaped = true,
            (_, '"') => inside = !inside,
            (false, _) => kept.push(c),
            (true, _) => {}
        }
    }
    kept
}

/// The paths of a line from their first word on; paths in generic arguments are paths of their own.
fn paths(line: &str) -> impl Iterator<Item = &str> {
    let starts = line.match_indices("::").filter_map(move |(at, _)| {
        let start = line[..at].rfind(|c| !is_word(c)).map_or(0, |before| before + 1);
        (start < at && !line[..start].ends_with("::") && !line[..start].ends_with('\'')).then_some(start)
    });
    starts.map(move |start| path(&line[start..]))
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The path that a text begins with: words, and the `<impl Type>` of a method.
fn path(text: &str) -> &str {
    let mut end = 0;
    loop {
        end += text[end..].find(|c: char| !is_word(c) && c != ':').unwrap_or(text.len() - end);
        match text[end..].starts_with("<impl ").then(|| text[end..].find(">::")).flatten() {
            Some(more) => end += more + 1,
            None => return text[..end].trim_end_matches(':'),
        }
    }
}

/// The pairs of `<Type as Trait>` in a line, as far as the type has a name.
fn trait_calls(line: &str) -> impl Iterator<Item = (&str, &str)> {
    line.match_indices(" as ").filter_map(|(at, _)| {
        let kind = &line[line[..at].rfind('<')? + 1..at];
        let kind = kind.split('<').next()?.trim_start_matches('&').trim_start_matches("mut ");
        let rest = &line[at + 4..];
        let of = &rest[..rest.find(['<', '>', ' ', ','])?];
        (!kind.starts_with("dyn ")).then_some((kind, of))
    })
}

fn first(path: &str) -> &str {
    path.split("::").next().unwrap_or(path)
}

fn last(path: &str) -> &str {
    let path = path.split('<').next().unwrap_or(path);
    path.trim_end_matches("::").rsplit("::").next().unwrap_or(path)
}

/// The implementations of traits in a source file of `module`.
pub fn implementations(source: &str, module: &str, impls: &mut Impls) {
    for line in source.lines().map(str::trim_start) {
        let line = line.strip_prefix("unsafe ").unwrap_or(line);
        let Some((of, kind)) = line.strip_prefix("impl").and_then(|rest| rest.split_once(" for ")) else {
            continue;
        };
        let of = if of.starts_with('<') { of.split_once("> ").map_or("", |(_, of)| of) } else { of.trim_start() };
        let kind = kind.trim_start_matches('&').split(['{', ' ']).next().unwrap_or(kind);
        let key = (last(of).to_owned(), last(kind).to_owned());
        impls.entry(key).or_default().insert(module.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIR: &str = r#"
fn reclaim::<impl engine::Engine>::obtain_frame(_1: &engine::Engine, _2: usize) -> core::option::Option<arena::Frame> {
    let mut _3: lock::Guard<'_, engine::Pool>;
        _4 = pager::<impl engine::Engine>::serve(copy _1, const "view::open is only a word") -> [return: bb1, unwind unreachable];
        _5 = <dyn policy::Policy as policy::Policy>::victim(move _6) -> [return: bb2, unwind unreachable];
        _7 = <engine::Engine as heap::Ground>::back(copy _1) -> [return: bb3, unwind unreachable];
        _8 = core::option::Option::<fork::Copied>::is_some(move _9) -> [return: bb4, unwind unreachable];
}
alloc7 (static: terms::TERMS, size: 8) {
    0x00 │ pin::no                                         │ pin::none
}
const config::error::SHOWN: usize = const 200_usize;
const config::<impl at src/config/error.rs:9:1: 9:13>::explain::promoted[0]: &units::HumanSize = {
"#;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn calls_of_functions_and_methods_statics_and_types_are_uses() {
        let modules = names(&[
            "policy", "units", "config", "heap", "lock", "arena", "engine", "view", "reclaim", "pager", "pin", "terms", "fork",
            "promise",
        ]);
        let mut impls = Impls::new();
        implementations("impl Ground for Engine {", "promise", &mut impls);
        let found = uses(MIR, &modules, &impls);
        let by = |name: &str| {
            found.iter().filter(|found| found.by.starts_with(name)).map(|found| first(&found.of)).collect::<BTreeSet<_>>()
        };
        assert_eq!(
            by("reclaim").into_iter().collect::<Vec<_>>(),
            ["arena", "engine", "fork", "heap", "lock", "pager", "policy", "promise", "reclaim", "terms"]
        );
        assert_eq!(by("config::<impl").into_iter().collect::<Vec<_>>(), ["config", "units"]);
    }

    #[test]
    fn bodies_are_known_by_their_first_lines() {
        assert_eq!(begins("fn heap::bins::take(_1: u32) -> u32 {"), Some("heap::bins::take"));
        assert_eq!(begins("fn sys::nap() -> () {"), Some("sys::nap"));
        assert_eq!(
            begins("const gate::<impl at src/gate.rs:9:1: 9:13>::MOST: usize = const 4_usize;"),
            Some("gate::<impl at src/gate.rs:9:1: 9:13>::MOST")
        );
        assert_eq!(begins("    _5 = sys::nap() -> [return: bb1];"), None);
    }

    #[test]
    fn implementations_are_found_where_they_stand() {
        let mut impls = Impls::new();
        implementations(
            "impl<'a, T: Copy> core::ops::Deref for Guard<'a, T> {\nunsafe impl Sync for Lock {}\nimpl Lock {",
            "lock",
            &mut impls,
        );
        let keys: Vec<_> = impls.keys().map(|(of, kind)| format!("{of} for {kind}")).collect();
        assert_eq!(keys, ["Deref for Guard", "Sync for Lock"]);
    }
}
