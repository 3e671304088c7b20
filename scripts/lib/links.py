"""Follows every link in the Markdown files of this tree: the file must be there, and the heading in it.

usage: links.py [DIRECTORY]

Prints a line for each link that leads nowhere; the status is 0 if none does. Links to other sites are not followed.
"""

import os
import re
import sys
from urllib.parse import unquote

NOT_OURS = {"target", "build", ".git", "node_modules"}
FENCE = re.compile(r"^ {0,3}(```+|~~~+)")
HEADING = re.compile(r"^ {0,3}#{1,6}\s+(.*?)\s*#*\s*$")
LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\[\]]*\])*\]\(\s*<?([^)\s>]+)>?(?:\s+[\"'][^)]*[\"'])?\s*\)")
REFERENCE = re.compile(r"^ {0,3}\[[^\]]+\]:\s*<?(\S+?)>?(?:\s|$)")
ANCHOR = re.compile(r"<a\s[^>]*(?:id|name)=[\"']([^\"']+)[\"']")
ELSEWHERE = re.compile(r"^(?:[a-z][a-z0-9+.-]*:|//)", re.IGNORECASE)


def markdown_files(root):
    for directory, below, names in os.walk(root):
        below[:] = sorted(set(below) - NOT_OURS)
        yield from (os.path.join(directory, name) for name in sorted(names) if name.endswith(".md"))


def prose(path):
    """The lines outside of code blocks, with their numbers."""
    fence = None
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            mark = FENCE.match(line)
            if fence is None and mark:
                fence = mark.group(1)
            elif fence is None:
                yield number, line.rstrip("\n")
            elif mark and mark.group(1).startswith(fence) and not line.strip().strip(fence[0]):
                fence = None


def without_code(line):
    return re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", line)


def anchor(heading):
    """GitHub's rule: small letters, no punctuation but - and _, spaces become hyphens."""
    text = re.sub(r"!?\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\([^)]*\)", r"\1", heading)
    text = re.sub(r"<[^>]+>", "", text).replace("`", "")
    text = re.sub(r"(\*+)(\S(?:.*?\S)?)\1", r"\2", text)
    return re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-")


def anchors(path):
    known, seen = set(), {}
    for _, line in prose(path):
        known.update(ANCHOR.findall(line))
        heading = HEADING.match(line)
        if heading:
            name = anchor(heading.group(1))
            count = seen.get(name, 0)
            seen[name] = count + 1
            known.add(f"{name}-{count}" if count else name)
    return known


def targets(path):
    for number, line in prose(path):
        line = without_code(line) if not HEADING.match(line) else line
        for found in [*LINK.findall(line), *REFERENCE.findall(line)]:
            if not ELSEWHERE.match(found):
                yield number, unquote(found)


def wrong(root):
    known = {}
    for path in markdown_files(root):
        for number, target in targets(path):
            name, _, heading = target.partition("#")
            file = os.path.normpath(os.path.join(os.path.dirname(path), name)) if name else path
            if not os.path.exists(file):
                yield f"{path}:{number}: {target}: no such file"
            elif heading and file.endswith(".md"):
                if file not in known:
                    known[file] = anchors(file)
                if heading not in known[file]:
                    yield f"{path}:{number}: {target}: no such heading"


def main():
    complaints = list(wrong(sys.argv[1] if len(sys.argv) > 1 else "."))
    print(*complaints, sep="\n" if complaints else "")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
