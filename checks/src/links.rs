//! The links in the Markdown files of the repository: each leads to a file that is there, and to a heading that it has.
//! Links to other hosts are not followed.

use std::path::{Path, PathBuf};
use std::{fs, io};

/// How many links were followed, and those that lead nowhere, each with its file.
pub fn broken(workspace: &Path) -> io::Result<(usize, Vec<String>)> {
    let (mut followed, mut broken, mut documents) = (0, Vec::new(), Vec::new());
    find(workspace, &mut documents)?;
    for path in documents {
        for link in links(&fs::read_to_string(&path)?).into_iter().filter(|link| !link.contains("://")) {
            followed += 1;
            if !leads_somewhere(&path, &link) {
                broken.push(format!("{}: {link}", path.strip_prefix(workspace).unwrap_or(&path).display()));
            }
        }
    }
    Ok((followed, broken))
}

/// The Markdown files below a directory, but for what is built or hidden.
fn find(directory: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            find(&path, found)?;
        } else if name.ends_with(".md") {
            found.push(path);
        }
    }
    Ok(())
}

fn leads_somewhere(from: &Path, link: &str) -> bool {
    let (file, heading) = link.split_once('#').unwrap_or((link, ""));
    let target: PathBuf = if file.is_empty() { from.to_owned() } else { from.with_file_name("").join(file) };
    let has = |text: String| prose(&text).any(|line| line.strip_prefix('#').is_some_and(|head| anchor(head) == heading));
    target.exists() && (heading.is_empty() || fs::read_to_string(target).is_ok_and(has))
}

/// The lines that are not in a block of code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut code = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        code ^= fence;
        !code && !fence
    })
}

/// What `[...](...)` points to.
fn links(text: &str) -> Vec<String> {
    let after = prose(text).flat_map(|line| line.split("](").skip(1));
    after.filter_map(|rest| Some(rest.split(')').next()?.to_owned())).collect()
}

/// The name of a heading in a link, as the hosts of repositories make it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_have_the_names_that_links_use() {
        assert_eq!(anchor("# 8. Promises: why a touch never fails"), "8-promises-why-a-touch-never-fails");
        assert_eq!(anchor(" `mm.h`: FIFO, and a door's log"), "mmh-fifo-and-a-doors-log");
    }

    #[test]
    fn code_holds_no_links() {
        assert_eq!(links("[a](b.md#c), [d](e)\n```\n[f](g)\n```\n"), ["b.md#c", "e"]);
    }
}
