"""Does what a page of docs/adding/ says, in a copy of this tree: whether the page is true, its commands tell.

usage: pages.py PAGE COPY

COPY is made anew, or brought up to date, from the files that git knows. Of the page's code blocks

    ```LANGUAGE file=PATH    is a new file,
    ```diff file=PATH        changes one: the lines without a mark and with - stand there exactly once, together, and
                             those without a mark and with + take their place,
    ```sh                    is run in the copy, and must end well.

All are done in the order of the page. The status is 0 if all could be.
"""

import os
import re
import subprocess
import sys

BLOCK = re.compile(r"^```(\w+)(?: +file=(\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Wrong(Exception):
    """The page does not fit this tree."""


def write(path, text):
    """Only what differs, so that what is built from the rest stays built."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if not os.path.exists(path) or open(path, "rb").read() != text:
        with open(path, "wb") as file:
            file.write(text)


def copy_tree(to, pending):
    """The tree as it is, but for the files that the page writes: those come once they are changed."""
    names = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], check=True, stdout=subprocess.PIPE)
    known = {name for name in os.fsdecode(names.stdout).split("\0") if os.path.isfile(name)}
    for directory, below, files in os.walk(to):
        below[:] = [name for name in below if os.path.relpath(os.path.join(directory, name), to) != "target"]
        for name in files:
            path = os.path.join(directory, name)
            if os.path.relpath(path, to) not in known | pending:
                os.unlink(path)
    for name in known - pending:
        write(os.path.join(to, name), open(name, "rb").read())
        os.chmod(os.path.join(to, name), os.stat(name).st_mode)


def changed(name, text, block):
    lines = block.splitlines(keepends=True)
    old = "".join(line[1:] for line in lines if line[0] in " -")
    new = "".join(line[1:] for line in lines if line[0] in " +")
    if text.count(old) != 1:
        raise Wrong(f"{name} has these lines {text.count(old)} times:\n{old}")
    return text.replace(old, new)


def do(page, to):
    blocks = BLOCK.findall(open(page, encoding="utf-8").read())
    if not any(language == "sh" for language, _, _ in blocks):
        raise Wrong("the page has nothing to run")
    texts = {}
    for language, name, block in blocks:
        if name and language == "diff":
            text = texts[name] if name in texts else open(name, encoding="utf-8").read()
            texts[name] = changed(name, text, block)
        elif name:
            if os.path.exists(name):
                raise Wrong(f"{name} exists already")
            texts[name] = block
    copy_tree(to, set(texts))
    for name, text in texts.items():
        write(os.path.join(to, name), text.encode())
    for language, _, block in blocks:
        if language == "sh" and subprocess.run(["bash", "-euc", block], cwd=to, check=False).returncode != 0:
            raise Wrong(f"this fails:\n{block}")


def main():
    if len(sys.argv) != 3:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    try:
        do(sys.argv[1], os.path.abspath(sys.argv[2]))
    except Wrong as error:
        print(f"{sys.argv[1]}: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
