//! The modules of a crate, and the paths through which they use each other.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Item, UseTree};

use super::Graph;
use crate::cargo;

/// A module by its path from the crate's root.
type Module = Vec<String>;

/// For each module with submodules: the graph of its submodules.
///
/// # Errors
/// A file cannot be read or is not Rust.
pub(super) fn graphs(src: &Path) -> io::Result<BTreeMap<String, Graph>> {
    let mut files = BTreeMap::new();
    for path in cargo::files(src, "rs")? {
        let relative = path.strip_prefix(src).unwrap_or(&path);
        let module = module_of(relative);
        if module.iter().any(|name| name == "tests") {
            continue;
        }
        let wrong = |error| io::Error::other(format!("{}: {error}", path.display()));
        let text = std::fs::read_to_string(&path)?;
        let mut file = syn::parse_file(&text).map_err(wrong)?;
        leave_tests_out(&mut file.items);
        files.insert(module, (relative.display().to_string(), file.items));
    }
    Ok(read(&files))
}

fn read(files: &BTreeMap<Module, (String, Vec<Item>)>) -> BTreeMap<String, Graph> {
    let modules: BTreeSet<&Module> = files.keys().collect();
    let mut graphs: BTreeMap<String, Graph> = BTreeMap::new();
    for module in &modules {
        if let Some((name, parent)) = module.split_last() {
            let graph = graphs.entry(shown(parent)).or_default();
            graph.entry(name.clone()).or_default();
        }
    }
    let names = names_of_the_root(files);
    for (from, (file, items)) in files {
        let mut scanner = Scanner {
            from,
            used: Vec::new(),
        };
        for item in items {
            match item {
                Item::Use(item) => scanner.tree(&item.tree, &mut Vec::new(), line(item)),
                other => scanner.tokens(other.to_token_stream()),
            }
        }
        for (mut path, line) in scanner.used {
            if let Some(first) = path.first()
                && let Some(module) = names.get(first)
            {
                path = module.clone();
            }
            let to = longest(&modules, &path);
            let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
            if let (Some(user), Some(used)) = (from.get(common), to.get(common)) {
                let graph = graphs.entry(shown(&from[..common])).or_default();
                let uses = graph.entry(user.clone()).or_default();
                let places = uses.entry(used.clone()).or_default();
                places.insert(format!("{file}:{line}"));
            }
        }
    }
    graphs
}

fn shown(module: &[String]) -> String {
    let mut path = vec!["crate"];
    path.extend(module.iter().map(String::as_str));
    path.join("::")
}

fn module_of(relative: &Path) -> Module {
    let path = relative.with_extension("");
    let mut names: Module = path
        .iter()
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    if names
        .last()
        .is_some_and(|name| matches!(name.as_str(), "mod" | "lib" | "main"))
    {
        names.pop();
    }
    names
}

/// The module that `path` begins with.
fn longest(modules: &BTreeSet<&Module>, path: &[String]) -> Module {
    let lengths = (0..=path.len()).rev();
    let mut prefixes = lengths.map(|length| path[..length].to_vec());
    prefixes
        .find(|prefix| modules.contains(prefix))
        .unwrap_or_default()
}

/// The names that the crate's root re-exports from a module, `pub use
/// plan::Plan`.
fn names_of_the_root(files: &BTreeMap<Module, (String, Vec<Item>)>) -> BTreeMap<String, Module> {
    let mut names = BTreeMap::new();
    for item in files
        .get(&Module::new())
        .into_iter()
        .flat_map(|(_, items)| items)
    {
        let Item::Use(item) = item else { continue };
        let mut paths = Vec::new();
        flatten(&item.tree, &mut Vec::new(), &mut paths);
        for (path, name) in paths {
            if path.len() > 1 {
                names.insert(name, path);
            }
        }
    }
    names
}

/// Every path of a `use` tree, with its name in this module.
fn flatten(tree: &UseTree, before: &mut Module, paths: &mut Vec<(Module, String)>) {
    let mut add = |last: &syn::Ident, name: String| {
        let mut path = before.clone();
        path.push(last.to_string());
        paths.push((path, name));
    };
    match tree {
        UseTree::Name(name) => add(&name.ident, name.ident.to_string()),
        UseTree::Rename(rename) => add(&rename.ident, rename.rename.to_string()),
        UseTree::Glob(_) => {}
        UseTree::Path(path) => {
            before.push(path.ident.to_string());
            flatten(&path.tree, before, paths);
            before.pop();
        }
        UseTree::Group(group) => {
            for tree in &group.items {
                flatten(tree, before, paths);
            }
        }
    }
}

fn line(tokens: &impl ToTokens) -> usize {
    let first = tokens.to_token_stream().into_iter().next();
    first.map_or(0, |token| token.span().start().line)
}

struct Scanner<'a> {
    from: &'a Module,
    /// Paths from the crate's root, with their lines.
    used: Vec<(Module, usize)>,
}

impl Scanner<'_> {
    fn tree(&mut self, tree: &UseTree, before: &mut Module, line: usize) {
        let mut paths = Vec::new();
        flatten(tree, before, &mut paths);
        for (path, _) in paths {
            self.path(&path, line);
        }
        // A glob imports from the module itself.
        let mut globbed = Vec::new();
        globs(tree, &mut Vec::new(), &mut globbed);
        for path in globbed {
            self.path(&path, line);
        }
    }

    /// Every `crate::a::b`, `super::a` and `self::a` outside of a `use`.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Module = Vec::new();
        let mut start = 0;
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(name) => {
                    if colons != 2 {
                        self.end(&mut path, start);
                    }
                    if path.is_empty() {
                        start = name.span().start().line;
                    }
                    path.push(name.to_string());
                    colons = 0;
                }
                TokenTree::Punct(mark) if mark.as_char() == ':' => colons += 1,
                TokenTree::Group(group) => {
                    self.end(&mut path, start);
                    colons = 0;
                    self.tokens(group.stream());
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {
                    self.end(&mut path, start);
                    colons = 0;
                }
            }
        }
        self.end(&mut path, start);
    }

    fn end(&mut self, path: &mut Module, line: usize) {
        let path = std::mem::take(path);
        self.path(&path, line);
    }

    /// Notes a path that begins at the root, here or above.
    fn path(&mut self, path: &[String], line: usize) {
        let mut base = self.from.clone();
        let mut rest = path;
        let mut is_relative = false;
        while let [first, others @ ..] = rest {
            match first.as_str() {
                "crate" => base.clear(),
                "self" => {}
                "super" => drop(base.pop()),
                _ => break,
            }
            is_relative = true;
            rest = others;
        }
        if is_relative {
            base.extend(rest.iter().cloned());
            self.used.push((base, line));
        }
    }
}

fn globs(tree: &UseTree, before: &mut Module, paths: &mut Vec<Module>) {
    match tree {
        UseTree::Glob(_) => paths.push(before.clone()),
        UseTree::Path(path) => {
            before.push(path.ident.to_string());
            globs(&path.tree, before, paths);
            before.pop();
        }
        UseTree::Group(group) => {
            for tree in &group.items {
                globs(tree, before, paths);
            }
        }
        UseTree::Name(_) | UseTree::Rename(_) => {}
    }
}

/// Removes every item under `#[cfg(test)]`.
fn leave_tests_out(items: &mut Vec<Item>) {
    items.retain(|item| {
        let attributes = match item {
            Item::Mod(item) => &item.attrs,
            Item::Use(item) => &item.attrs,
            Item::Fn(item) => &item.attrs,
            Item::Const(item) => &item.attrs,
            Item::Impl(item) => &item.attrs,
            _ => return true,
        };
        !attributes.iter().any(|attribute| {
            attribute.path().is_ident("cfg")
                && attribute
                    .meta
                    .to_token_stream()
                    .to_string()
                    .contains("test")
        })
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uses(files: &[(&str, &str)]) -> BTreeMap<String, Graph> {
        let parsed = files.iter().map(|(path, text)| {
            let mut file = syn::parse_file(text).expect("Rust");
            leave_tests_out(&mut file.items);
            (module_of(Path::new(path)), ((*path).to_owned(), file.items))
        });
        read(&parsed.collect())
    }

    fn arrows(graph: &Graph) -> Vec<(&str, &str)> {
        let arrows = graph
            .iter()
            .flat_map(|(from, uses)| uses.keys().map(move |to| (from, to)));
        arrows
            .map(|(from, to)| (from.as_str(), to.as_str()))
            .collect()
    }

    #[test]
    fn each_form_of_a_path_is_an_arrow() {
        let graphs = uses(&[
            ("lib.rs", "mod a; mod b; mod c; pub use c::Thing;"),
            (
                "a.rs",
                "use crate::{b::{self, x}, Thing}; fn f() { crate::d::g() }",
            ),
            ("b/mod.rs", "mod x; mod y; use self::x::Y;"),
            (
                "b/x.rs",
                "use super::y::Z; use crate::a::*; impl crate::c::T for U {}",
            ),
            ("b/y.rs", "#[cfg(test)] mod tests { use crate::a; }"),
            ("c.rs", ""),
            ("d.rs", "use std::fmt; // crate::a"),
        ]);
        let root = arrows(&graphs["crate"]);
        assert_eq!(
            root,
            [("a", "b"), ("a", "c"), ("a", "d"), ("b", "a"), ("b", "c")]
        );
        assert_eq!(arrows(&graphs["crate::b"]), [("x", "y")]);
    }
}
