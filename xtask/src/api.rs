//! The public API of the published crates as text, read from their documentation: a change of it shows in the gate.
//!
//! A declaration a line, as rustdoc prints it, below the page that it is on. Of an implementation of a trait, only that it is there.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::{env, fs, io};

/// Documents the workspace, and returns its API.
pub(crate) fn text() -> io::Result<String> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let doc = ["doc", "--workspace", "--no-deps", "--lib", "--quiet"];
    let status = Command::new(cargo).current_dir(crate::root()).args(doc).status()?;
    if !status.success() {
        return Err(io::Error::other("cargo doc failed"));
    }
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| crate::root().join("target"), Into::into);
    let mut text = String::new();
    for name in published_crates()? {
        let folder = target.join("doc").join(name.replace('-', "_"));
        for page in pages(&fs::read_to_string(folder.join("all.html"))?) {
            let lines = declarations(&fs::read_to_string(folder.join(&page))?);
            if !lines.is_empty() {
                text.extend(["# ", &name, " ", page.trim_end_matches(".html"), "\n"]);
                for line in &lines {
                    text.extend([line, "\n"]);
                }
            }
        }
    }
    Ok(text.trim_end().to_owned())
}

/// The names of the library crates that are published, sorted.
fn published_crates() -> io::Result<BTreeSet<String>> {
    let workspace = fs::read_to_string(crate::root().join("Cargo.toml"))?;
    let members = workspace.lines().filter_map(|line| line.trim().strip_prefix('"')?.strip_suffix("\","));
    let mut names = BTreeSet::new();
    for member in members {
        let folder = crate::root().join(member);
        let Ok(manifest) = fs::read_to_string(folder.join("Cargo.toml")) else { continue };
        let name = manifest.lines().find_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'));
        let is_published = !manifest.contains("\npublish = false");
        if is_published && Path::new(&folder).join("src/lib.rs").exists() {
            names.extend(name.map(str::to_owned));
        }
    }
    Ok(names)
}

/// The pages of a crate's items and of their modules. Others may be left from what was documented before.
fn pages(all: &str) -> BTreeSet<String> {
    let mut pages = BTreeSet::from(["index.html".to_owned()]);
    let list = all.split_once("<h1>List of all items").map_or("", |(_, list)| list);
    for link in list.split("<a href=\"").skip(1) {
        let Some((page, _)) = link.split_once('"') else { continue };
        let mut folder = page;
        while let Some((parent, _)) = folder.rsplit_once('/') {
            pages.insert(format!("{parent}/index.html"));
            folder = parent;
        }
        pages.insert(page.to_owned());
    }
    pages
}

/// Where rustdoc puts a declaration: what comes before and after it, and what it is.
const PLACES: [(&str, &str, Kind); 4] = [
    ("item-decl\"><code>", "</code></pre>", Kind::Item),
    ("<dt id=\"reexport", "</dt>", Kind::Item),
    ("<h3 class=\"code-header\">", "</h3>", Kind::Implementation),
    ("<h4 class=\"code-header\">", "</h4>", Kind::Member),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Item,
    Implementation,
    Member,
}

/// The declarations on a page, each once.
fn declarations(page: &str) -> Vec<String> {
    // What follows is the same for nearly every type.
    let mut rest = page.split("id=\"synthetic-implementations\"").next().unwrap_or(page);
    let mut lines = Vec::new();
    let mut of_trait = false;
    while let Some((at, before, after, kind)) = next_place(rest) {
        let from = at + before.len();
        let Some(length) = rest[from..].find(after) else { break };
        let line = plain(&rest[from..from + length]);
        rest = &rest[from + length..];
        if kind == Kind::Implementation {
            of_trait = line.contains(" for ");
        } else if kind == Kind::Member && of_trait {
            continue;
        }
        // Of what a derive brings for the compiler alone, nothing.
        if !lines.contains(&line) && !line.contains("StructuralPartialEq") {
            lines.push(line);
        }
    }
    lines
}

/// The first place of a declaration.
fn next_place(page: &str) -> Option<(usize, &'static str, &'static str, Kind)> {
    let found =
        PLACES.iter().filter_map(|(before, after, kind)| Some((page.find(before)?, *before, *after, *kind)));
    found.min_by_key(|(at, ..)| *at)
}

/// HTML as text in one line.
fn plain(html: &str) -> String {
    let mut text = String::new();
    // What a page shows in place of what it folds.
    let mut html = html.to_owned();
    while let Some(from) = html.find("<summary")
        && let Some(length) = html[from..].find("</summary>")
    {
        html.replace_range(from..from + length, "");
    }
    // The rest of the tag that the piece begins in, and the text behind it.
    for piece in format!(">{html}").split('<') {
        text.push_str(piece.split_once('>').map_or("", |(_tag, text)| text));
    }
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'");
    let text = text.replace("&nbsp;", " ").replace("\u{a0}", " ").replace("&amp;", "&");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_declarations_of_a_page_are_its_api() {
        let page = r#"<pre class="rust item-decl"><code>pub struct <a href="x">Pipe</a>&lt;T&gt; { <span>/* private */</span> }</code></pre>
            <h3 class="code-header">impl&lt;T&gt; Pipe&lt;T&gt;</h3>
            <h4 class="code-header">pub fn <a>push</a>(&amp;mut self,
                item: T)</h4>
            <h3 class="code-header">impl&lt;T&gt; Debug for Pipe&lt;T&gt;</h3>
            <h4 class="code-header">fn fmt()</h4>
            <h2 id="synthetic-implementations"><h3 class="code-header">impl Send for Pipe</h3>"#;
        assert_eq!(
            declarations(page),
            [
                "pub struct Pipe<T> { /* private */ }",
                "impl<T> Pipe<T>",
                "pub fn push(&mut self, item: T)",
                "impl<T> Debug for Pipe<T>",
            ]
        );
    }

    #[test]
    fn the_pages_of_a_crate_are_those_of_its_list_and_their_modules() {
        let all = r#"<a href="../static.css"><h1>List of all items</h1><a href="wire/struct.Pipe.html">wire::Pipe</a>"#;
        let pages: Vec<_> = pages(all).into_iter().collect();
        assert_eq!(pages, ["index.html", "wire/index.html", "wire/struct.Pipe.html"]);
    }
}
