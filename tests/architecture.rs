//! Enforces the layers of `ARCHITECTURE.md`: which module may use which, which of them may touch
//! the outside world by which library, how long a file may be, and how migrations are numbered.
//!
//! To add a module, add a row to [`MODULES`]. To let a module use another, add it to the row, and
//! say why in `ARCHITECTURE.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

// ---------------------------------------------------------------------------------------------
// The rules

/// Every module at the top of `src`, and those it may use.
const MODULES: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("error", &["domain"]),
    // What knows one thing of the outside world each, and nothing of one another.
    ("store", &["domain", "error"]),
    // One setting is the store's: what a commit survives.
    ("config", &["domain", "error", "store"]),
    ("bus", &["domain", "error"]),
    ("tmux", &["domain", "error"]),
    ("claude", &["domain", "error"]),
    ("git", &["domain", "error"]),
    ("process", &["domain", "error"]),
    ("notify", &["domain", "error"]),
    ("clock", &["domain"]),
    ("spool", &["domain"]),
    // The use cases put them together.
    (
        "services",
        &[
            "domain", "error", "config", "clock", "spool", "store", "bus", "tmux", "claude", "git",
            "process", "notify",
        ],
    ),
    // Looks at each part of the outside world by itself; at the database as the server chooses it.
    (
        "doctor",
        &["domain", "error", "config", "store", "tmux", "claude", "git", "notify", "services"],
    ),
    // How the outside reaches the use cases. Lists that need no use case are read from the store.
    (
        "api",
        &["domain", "error", "config", "clock", "store", "bus", "process", "services", "doctor"],
    ),
    ("web", &["domain", "error", "config", "clock", "store", "services", "doctor", "api"]),
    // What starts everything.
    (
        "server",
        &[
            "domain", "error", "config", "clock", "store", "bus", "tmux", "claude", "process",
            "services", "api", "web",
        ],
    ),
    // The command line speaks HTTP: of the API it takes the types, of the server the start.
    // A hook leaves its file in the spool, and a pane is told its plan by the use case of launches.
    // Of the store it takes the places that databases are in.
    (
        "cli",
        &[
            "domain", "error", "config", "clock", "spool", "store", "process", "services", "api",
            "doctor", "server",
        ],
    ),
    // The thin binary.
    ("main", &["cli"]),
];

/// The module that only tests may use; it may use everything.
const TEST_SUPPORT: &str = "testing";

/// Who may name a path of the standard library or of another crate.
enum Who {
    Only(&'static [&'static str]),
    Not(&'static [&'static str]),
}

/// Paths of the outside, and who may name them: a layer is only as pure as what it reaches for.
/// What counts is the path as it is written, so this finds slips, not disguises.
const OUTSIDE: &[(&str, Who, &str)] = &[
    ("sqlx", Who::Only(&["store"]), "the only SQL is the store's"),
    ("sqlx_macros", Who::Only(&["store"]), "the only SQL is the store's"),
    ("axum", Who::Only(&["api", "web", "server"]), "HTTP ends at the edge"),
    ("tower_http", Who::Only(&["api", "web", "server"]), "HTTP ends at the edge"),
    ("askama", Who::Only(&["web"]), "the only HTML is the dashboard's"),
    ("clap", Who::Only(&["cli", "config", "main"]), "only the command line knows it is one"),
    ("clap_complete", Who::Only(&["cli"]), "only the command line knows it is one"),
    ("crossterm", Who::Only(&["cli"]), "only the command line has a terminal"),
    ("ratatui", Who::Only(&["cli"]), "only the command line has a terminal"),
    ("tokio", Who::Not(&["domain"]), "the domain does no I/O"),
    ("rustix", Who::Not(&["domain"]), "the domain does no I/O"),
    ("std::env", Who::Not(&["domain"]), "the domain does no I/O"),
    ("std::fs", Who::Not(&["domain"]), "the domain does no I/O"),
    ("std::io", Who::Not(&["domain"]), "the domain does no I/O"),
    ("std::net", Who::Not(&["domain"]), "the domain does no I/O"),
    ("std::process", Who::Not(&["domain"]), "the domain does no I/O"),
    ("std::thread", Who::Not(&["domain"]), "the domain does no I/O"),
    ("std::time::Instant", Who::Not(&["domain"]), "the domain reads no clock"),
    ("std::time::SystemTime", Who::Not(&["domain"]), "the domain reads no clock"),
    ("jiff::Timestamp::now", Who::Not(&["domain"]), "the domain reads no clock"),
];

/// Files of more lines than this are to be split, or listed in [`LONG_FILES`] with a reason.
const MAX_LINES: usize = 500;

/// Long files, each with the reason why it is better whole.
const LONG_FILES: &[(&str, &str)] = &[];

// ---------------------------------------------------------------------------------------------
// The tests

#[test]
fn modules_use_only_what_their_layer_may() {
    let mut violations = Vec::new();
    for file in sources() {
        violations.extend(check(&file.name, &file.text));
    }
    assert_none(&violations, "see MODULES and OUTSIDE in tests/architecture.rs");
}

#[test]
fn the_table_of_modules_is_sound() {
    let known: BTreeSet<_> = MODULES.iter().map(|(module, _)| *module).collect();
    assert_eq!(known.len(), MODULES.len(), "a module has two rows");
    // Rows stand in the order of the layers, so a module can only use what stands before it. That
    // leaves no way to make a circle.
    let mut before = BTreeSet::new();
    for (module, uses) in MODULES {
        for used in *uses {
            assert!(
                before.contains(used),
                "{module} may use {used}, which does not stand before it"
            );
        }
        before.insert(*module);
    }
    let named = OUTSIDE.iter().flat_map(|(_, Who::Only(who) | Who::Not(who), _)| *who);
    for module in named {
        assert!(known.contains(module), "OUTSIDE names {module}, which has no row in MODULES");
    }
}

#[test]
fn files_are_short_enough_to_read() {
    let lengths: BTreeMap<_, _> =
        sources().into_iter().map(|file| (file.name, file.text.lines().count())).collect();
    let mut violations = Vec::new();
    for (name, lines) in &lengths {
        if *lines > MAX_LINES && !LONG_FILES.iter().any(|(listed, _)| listed == name) {
            violations.push(format!("{name}: {lines} lines, {MAX_LINES} are allowed"));
        }
    }
    for (listed, reason) in LONG_FILES {
        assert!(!reason.is_empty(), "{listed} is listed without a reason");
        if lengths.get(*listed).is_none_or(|lines| *lines <= MAX_LINES) {
            violations.push(format!("{listed}: no longer a long file, and still listed as one"));
        }
    }
    assert_none(&violations, "split them, or list them in LONG_FILES with a reason");
}

#[test]
fn migrations_are_numbered_without_a_gap_and_alike_for_every_database() {
    let engines: Vec<_> =
        folders_in(&root().join("migrations")).iter().map(|f| name_of(f)).collect();
    assert_eq!(engines, ["postgres", "sqlite"]);
    let mut expected: Option<(String, Vec<String>)> = None;
    for folder in folders_in(&root().join("migrations")) {
        let engine = name_of(&folder);
        let mut files: Vec<_> = entries(&folder).iter().map(|path| name_of(path)).collect();
        files.sort();
        let violations = check_migrations(&files);
        assert_none(&violations, &format!("in migrations/{engine}"));
        match &expected {
            None => expected = Some((engine, files)),
            Some((first, names)) => {
                assert_eq!(names, &files, "migrations of {first} and {engine} differ");
            }
        }
    }
}

/// Each statement is tried on both databases by the store's tests, which know of those that are listed.
#[test]
fn every_statement_is_in_the_list_of_its_module() {
    let item = regex(r"(?s)^(?:pub\S* )?(?:const|static) ([A-Z_]+): [^=]*=(.*)");
    let list = regex(r"(?ms)^(?:pub\S* )?(?:const STATEMENTS.*?;$|fn statements.*?^\})");
    let begins = regex(r#"^\s*(?:select!|list!|"(?:SELECT|INSERT|UPDATE|DELETE|WITH) )"#);
    let store = || sources().into_iter().filter(|f| f.name.starts_with("src/store/"));
    let (mut found, mut violations) = (0, Vec::new());
    let lists: String = store()
        .flat_map(|f| list.find_iter(&f.text).map(|l| l.as_str().to_owned()).collect::<Vec<_>>())
        .collect();
    for file in store().filter(|f| !f.name.contains("tests")) {
        let items: Vec<_> = items(&file.text)
            .filter_map(|text| item.captures(text).map(|c| c.extract::<2>().1))
            .collect();
        for [name, _] in items.iter().filter(|[_, text]| begins.is_match(text)) {
            let names = regex(&format!(r"\b{name}\b"));
            // In its own module's list, or in that of the module around it, or a part of another one.
            let module = file.name.rsplit('/').next().unwrap_or_default().replace(".rs", "");
            let listed = list.find_iter(&file.text).any(|l| names.is_match(l.as_str()))
                || lists.contains(&format!("{module}::{name}"))
                || items.iter().any(|[other, text]| other != name && names.is_match(text));
            found += 1;
            if !listed {
                violations.push(format!("{}: {name}", file.name));
            }
        }
    }
    assert!(found > 100, "the check looks for statements and found {found}");
    assert_none(&violations, "put them into STATEMENTS or statements(), so that they are tried");
}

/// The items of a file: each begins where a line is not indented.
fn items(text: &str) -> impl Iterator<Item = &str> {
    let begins = regex(r"(?m)^[a-z#]");
    let begins: Vec<usize> = begins.find_iter(text).map(|m| m.start()).collect();
    let ends: Vec<usize> = begins.iter().copied().skip(1).chain([text.len()]).collect();
    begins.into_iter().zip(ends).map(|(begin, end)| &text[begin..end])
}

fn regex(pattern: &str) -> regex::Regex {
    regex::Regex::new(pattern).expect("a pattern")
}

#[test]
fn the_versions_of_claude_code_can_be_read() {
    let text = fs::read_to_string(root().join("tests/claude-versions")).expect("the file");
    let versions: BTreeMap<_, _> = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| line.split_once(" = ").expect("name = version"))
        .collect();
    assert_eq!(versions.keys().copied().collect::<Vec<_>>(), ["also", "tested"]);
    for version in versions.values() {
        let numbers = version.split('.').filter(|part| part.parse::<u32>().is_ok()).count();
        assert!(numbers == 3 && version.matches('.').count() == 2, "{version:?} is no version");
    }
}

/// The check itself is checked, on source that does what must not be done.
#[test]
fn what_must_not_be_done_is_caught() {
    // (file, source, what is found: its line and a part of its message)
    let cases: &[(&str, &str, &[&str])] = &[
        ("src/domain/session.rs", "use crate::store::Db;", &["1: domain must not use store"]),
        (
            "src/store/writer.rs",
            "use crate::{domain::ids, error::{self, Error},\n    services::App};",
            &["2: store must not use services"],
        ),
        ("src/bus.rs", "fn f() {\n    crate::store::open();\n}", &["2: bus must not use store"]),
        ("src/tmux/control.rs", "use super::super::claude;", &["1: tmux must not use claude"]),
        ("src/process.rs", "pub(crate) use super::tmux as t;", &["1: process must not use tmux"]),
        ("src/tmux/mod.rs", "use crate::r#store::Db;", &["1: tmux must not use store"]),
        (
            "src/domain/x.rs",
            "macro_rules! m { () => { $crate::bus::hub() } }",
            &["domain must not use bus"],
        ),
        ("src/main.rs", "fn main() { chorus::server::serve() }", &["1: main must not use server"]),
        // From inside an inline module, one `super` more leads out.
        (
            "src/bus.rs",
            "mod a { mod b { use super::super::Hub; use super::super::super::store::Db; } }\nuse super::web;",
            &["1: bus must not use store", "2: bus must not use web"],
        ),
        // Ways around the check.
        ("src/bus.rs", "use crate as c;", &["1: the crate's root under another name"]),
        ("src/bus.rs", "use crate::*;", &["1: everything of the crate's root"]),
        ("src/bus.rs", "use super::{self as root};", &["1: the crate's root under another name"]),
        ("src/bus.rs", "use crate::Db;", &["1: crate::Db is no module of the table"]),
        ("src/bus.rs", "#[path = \"store/mod.rs\"]\nmod x;", &["1: #[path"]),
        ("src/surprise/mod.rs", "", &["1: surprise has no row"]),
        // The outside.
        (
            "src/services/tasks.rs",
            "#[derive(sqlx::FromRow)]\nstruct Row;",
            &["1: services must not name sqlx"],
        ),
        (
            "src/domain/ids.rs",
            "use std::{fmt, time::{Duration, Instant}};",
            &["std::time::Instant: the domain reads no clock"],
        ),
        (
            "src/domain/ids.rs",
            "fn f() { ::std::fs::read(\"x\"); }",
            &["domain must not name std::fs"],
        ),
        // Test support, outside of tests.
        ("src/store/mod.rs", "use crate::testing::Tmux;", &["1: store must not use testing"]),
        (
            "src/store/mod.rs",
            "#[cfg(test)]\nmod tests {\n    use crate::testing::Tmux;\n    use crate::web::Page;\n}\nuse crate::testing::Tmux;",
            &["4: store must not use web", "6: store must not use testing"],
        ),
        // What may be done.
        (
            "src/store/writer.rs",
            r###"
            //! See [`crate::web`]. // crate::web::x
            /* use crate::web; /* crate::api::x */ crate::cli::x */
            use super::{Db, rows::{self, Row}};
            use crate::{domain::session::Session, error::Error, store::rows as r};
            pub(in crate::store) fn f<'a>(x: &'a str) -> char {
                let _ = ("crate::web::x \" crate::api::x", r#"crate::web::"x""#, b"crate::web::x", c"\\");
                let _: Option<<Db as crate::store::Open>::Row> = crate::names!();
                if x == "'" { '"' } else { '\'' }
            }
            pub(super) mod inner { pub(in super::super) use super::Db; }
            "###,
            &[],
        ),
        ("src/store/tests.rs", "use crate::testing::Tmux;", &[]),
        ("src/store/tests/writer.rs", "use crate::testing::Tmux;", &[]),
        ("src/store/mod.rs", "#[cfg(test)]\nuse crate::testing::Tmux;", &[]),
        ("src/testing/mod.rs", "use crate::{server, web};", &[]),
        ("src/lib.rs", "pub mod store; pub use store::Db;", &[]),
        ("src/domain/ids.rs", "use std::{fmt, time::Duration};", &[]),
    ];
    for (file, source, expected) in cases {
        let found = check(file, source);
        let alike = found.len() == expected.len()
            && found.iter().zip(*expected).all(|(found, part)| found.contains(part));
        assert!(alike, "{file}: {source}\nexpected {expected:#?}\nfound {found:#?}");
    }

    let migrations = |names: &[&str]| {
        check_migrations(&names.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    assert_eq!(migrations(&["0001_begin.sql", "0002_more.sql"]), Vec::<String>::new());
    assert_eq!(migrations(&["0001_begin.sql", "0003_more.sql"]).len(), 1);
    assert_eq!(migrations(&["0001_begin.sql", "0001_other.sql"]).len(), 1);
    assert_eq!(migrations(&["1_begin.sql"]).len(), 1);
    assert_eq!(migrations(&["0001_begin.SQL"]).len(), 1);
}

// ---------------------------------------------------------------------------------------------
// Checking one file

/// What a file does that its module may not, each as `file:line: what`.
fn check(file: &str, text: &str) -> Vec<String> {
    let place = Place::of(file);
    let complain = |line: usize, what: String| format!("{file}:{line}: {what}");
    let allowed = MODULES.iter().find(|(module, _)| *module == place.top).map(|(_, uses)| *uses);
    if allowed.is_none() && !place.unchecked() {
        return vec![complain(1, format!("{} has no row in MODULES", place.top))];
    }

    let tokens = lex(text);
    let mut violations = Vec::new();
    for attribute in tokens.windows(4) {
        if let [a, b, c, d] = attribute
            && a.is("#")
            && b.is("[")
            && c.is("path")
            && d.is("=")
        {
            violations.push(complain(a.line, "#[path] hides which module this is".into()));
        }
    }
    for found in paths(&tokens, &place) {
        let what = match place.resolve(&found) {
            Target::Outside(path) => forbidden_outside(&place.top, &path),
            Target::Root(what) => Some(format!("{what} hides what is used")),
            Target::Module(used) => {
                let tests_support = used == TEST_SUPPORT && found.in_test;
                let may = used == place.top
                    || tests_support
                    || allowed.is_none_or(|uses| uses.contains(&used.as_str()));
                let known = used == TEST_SUPPORT || MODULES.iter().any(|(m, _)| *m == used);
                match (may, known) {
                    (true, _) => None,
                    (false, true) => Some(format!("{} must not use {used}", place.top)),
                    (false, false) => Some(format!(
                        "crate::{used} is no module of the table: name the module it comes from"
                    )),
                }
            }
            Target::Own => None,
        };
        violations.extend(what.map(|what| complain(found.line, what)));
    }
    violations
}

fn forbidden_outside(module: &str, path: &[String]) -> Option<String> {
    let (name, _, why) = OUTSIDE.iter().find(|(name, who, _)| {
        let named = name.split("::").zip(path).filter(|(a, b)| a == b).count();
        let matches = named == name.split("::").count();
        matches
            && match who {
                Who::Only(who) => !who.contains(&module) && !is_unchecked(module),
                Who::Not(who) => who.contains(&module),
            }
    })?;
    Some(format!("{module} must not name {name}: {why}"))
}

/// Where in the crate a file stands.
struct Place {
    /// The module at the top of `src`, or `lib` or `main`.
    top: String,
    /// How many modules the file itself is deep; 0 is the root.
    depth: usize,
    /// A file of tests: `tests.rs`, or one in a folder of that name.
    test: bool,
}

/// Where a path leads.
enum Target {
    /// Into the same module at the top of `src`.
    Own,
    /// Into that module at the top of `src`.
    Module(String),
    /// To the root of the crate itself.
    Root(&'static str),
    /// To the standard library, another crate, or a name of this file's.
    Outside(Vec<String>),
}

impl Place {
    fn of(file: &str) -> Self {
        let inside = file.strip_prefix("src/").unwrap_or(file);
        let inside = inside.strip_suffix(".rs").unwrap_or(inside);
        let mut parts: Vec<_> = inside.split('/').collect();
        if parts.len() > 1 && parts.last() == Some(&"mod") {
            parts.pop();
        }
        let top = parts[0].to_owned();
        let depth = if top == "lib" || top == "main" { 0 } else { parts.len() };
        Self { top, depth, test: parts[1..].contains(&"tests") }
    }

    fn unchecked(&self) -> bool {
        is_unchecked(&self.top)
    }

    fn resolve(&self, found: &Found) -> Target {
        let first = found.path[0].as_str();
        // How many modules deep the path starts, and what of it is left.
        let (depth, rest) = match first {
            "crate" => (0, &found.path[1..]),
            // The library, as the binary calls it.
            "chorus" if self.top == "main" => (0, &found.path[1..]),
            "self" | "super" => {
                let steps =
                    found.path.iter().take_while(|part| *part == "self" || *part == "super");
                let up = steps.clone().filter(|part| *part == "super").count();
                let here = self.depth + found.inline_depth;
                (here.saturating_sub(up), &found.path[steps.count()..])
            }
            _ => return Target::Outside(found.path.clone()),
        };
        match rest.first().map(String::as_str) {
            _ if depth > 0 => Target::Own,
            _ if self.depth == 0 && first == "self" => Target::Own,
            None | Some("self") => Target::Root("the crate's root under another name"),
            Some("*") => Target::Root("everything of the crate's root"),
            // A macro of ours: what it names is checked where it is written.
            Some(_) if found.is_macro && rest.len() == 1 => Target::Own,
            Some(module) => Target::Module(module.to_owned()),
        }
    }
}

/// The library's root, which lists the modules, and the support for tests.
fn is_unchecked(module: &str) -> bool {
    module == "lib" || module == TEST_SUPPORT
}

// ---------------------------------------------------------------------------------------------
// Finding the paths in a file

/// A path such as `crate::store::Db`, as it stands in a file.
struct Found {
    path: Vec<String>,
    line: usize,
    /// How many `mod x { … }` of the same file it stands in.
    inline_depth: usize,
    in_test: bool,
    /// Followed by `!`.
    is_macro: bool,
}

fn paths(tokens: &[Token], place: &Place) -> Vec<Found> {
    let mut found = Vec::new();
    // One entry for each open brace: whether it opened a module, and whether that is for tests.
    let mut braces: Vec<(bool, bool)> = Vec::new();
    let mut cfg_test = false;
    let at = |i: usize| tokens.get(i).map_or("", |token| token.text.as_str());
    let mut i = 0;
    while i < tokens.len() {
        let in_test = place.test || braces.iter().any(|(_, test)| *test);
        let inline_depth = braces.iter().filter(|(module, _)| *module).count();
        match at(i) {
            "#" if (1..=6).map(|n| at(i + n)).eq(["[", "cfg", "(", "test", ")", "]"]) => {
                cfg_test = true;
                i += 7;
                continue;
            }
            "mod" if at(i + 2) == "{" => {
                braces.push((true, cfg_test));
                cfg_test = false;
                i += 3;
                continue;
            }
            "{" => braces.push((false, cfg_test)),
            "}" => {
                braces.pop();
                cfg_test = false;
            }
            ";" => cfg_test = false,
            _ => {}
        }
        let in_test = in_test || cfg_test;

        let continues = i > 1 && at(i - 1) == "::" && (tokens[i - 2].is_word() || at(i - 2) == ">");
        // `pub(in super::super)` says who may see something, and uses nothing.
        let visibility = i > 2 && at(i - 1) == "in" && at(i - 2) == "(" && at(i - 3) == "pub";
        let root_renamed =
            matches!(at(i), "crate" | "super") && at(i + 1) == "as" && at(i - 1) != "<";
        if tokens[i].is_word() && (at(i + 1) == "::" || root_renamed) && !continues {
            let mut tree = Vec::new();
            let next = path_tree(tokens, i, &[], &mut tree);
            if !visibility {
                found.extend(tree.into_iter().map(|(path, line, is_macro)| Found {
                    path,
                    line,
                    inline_depth,
                    in_test,
                    is_macro,
                }));
            }
            i = next;
        } else {
            i += 1;
        }
    }
    found
}

/// Reads `a::b::{c, d::*}` from token `i` on into its single paths; returns what comes after it.
fn path_tree(
    tokens: &[Token],
    mut i: usize,
    prefix: &[String],
    out: &mut Vec<(Vec<String>, usize, bool)>,
) -> usize {
    let at = |i: usize| tokens.get(i).map_or("", |token| token.text.as_str());
    let mut path = prefix.to_vec();
    let line = tokens.get(i).map_or(0, |token| token.line);
    if at(i) == "::" {
        i += 1;
    }
    loop {
        match at(i) {
            "{" => {
                i += 1;
                while i < tokens.len() && at(i) != "}" {
                    let before = i;
                    i = path_tree(tokens, i, &path, out);
                    // `x as y`, and the comma.
                    while i < tokens.len() && !matches!(at(i), "," | "}") {
                        i += 1;
                    }
                    if at(i) == "," || i == before {
                        i += 1;
                    }
                }
                return i + 1;
            }
            "*" => {
                path.push("*".into());
                i += 1;
                break;
            }
            word if tokens.get(i).is_some_and(Token::is_word) => {
                path.push(word.to_owned());
                i += 1;
                if at(i) != "::" {
                    break;
                }
                i += 1;
            }
            // `path::<Type>`: the type is looked at by the caller.
            _ => break,
        }
    }
    out.push((path, line, at(i) == "!"));
    i
}

// ---------------------------------------------------------------------------------------------
// Splitting a file into tokens, without comments and what strings contain

struct Token {
    text: String,
    line: usize,
}

impl Token {
    fn is(&self, text: &str) -> bool {
        self.text == text
    }

    fn is_word(&self) -> bool {
        self.text.starts_with(|c: char| c == '_' || c.is_alphabetic())
    }
}

fn lex(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let word = |c: char| c == '_' || c.is_alphanumeric();
    let mut tokens = Vec::new();
    let mut line = 1;
    let mut i = 0;
    while i < chars.len() {
        let start = i;
        let mut token = String::new();
        if at(i) == '/' && at(i + 1) == '/' {
            while i < chars.len() && at(i) != '\n' {
                i += 1;
            }
        } else if at(i) == '/' && at(i + 1) == '*' {
            let mut open = 0;
            loop {
                match (at(i), at(i + 1)) {
                    ('/', '*') => (open, i) = (open + 1, i + 2),
                    ('*', '/') => (open, i) = (open - 1, i + 2),
                    _ => i += 1,
                }
                if open == 0 || i >= chars.len() {
                    break;
                }
            }
        } else if at(i) == '"' {
            i = end_of_quoted(&chars, i);
            token.push('"');
        } else if at(i) == '\'' {
            // A character, or else a lifetime or a label.
            if at(i + 1) == '\\' || at(i + 2) == '\'' {
                i = end_of_quoted(&chars, i);
            } else {
                i += 1;
                while word(at(i)) {
                    i += 1;
                }
            }
            token.push('\'');
        } else if word(at(i)) {
            while word(at(i)) {
                token.push(at(i));
                i += 1;
            }
            let hashes = (i..).take_while(|n| at(*n) == '#').count();
            if matches!(token.as_str(), "r" | "br" | "cr") && at(i + hashes) == '"' {
                i = end_of_raw(&chars, i + hashes + 1, hashes);
                token = "\"".into();
            } else if matches!(token.as_str(), "b" | "c") && matches!(at(i), '"' | '\'') {
                i = end_of_quoted(&chars, i);
                token = "\"".into();
            } else if token == "r" && hashes == 1 {
                // A raw identifier is the identifier.
                i += 1;
                token.clear();
                while word(at(i)) {
                    token.push(at(i));
                    i += 1;
                }
            }
        } else if at(i) == ':' && at(i + 1) == ':' {
            i += 2;
            token.push_str("::");
        } else {
            if !at(i).is_whitespace() {
                token.push(at(i));
            }
            i += 1;
        }
        if !token.is_empty() {
            tokens.push(Token { text: token, line });
        }
        line += chars[start..i.min(chars.len())].iter().filter(|c| **c == '\n').count();
    }
    tokens
}

/// The index behind the closing quote of what opens at `i`.
fn end_of_quoted(chars: &[char], mut i: usize) -> usize {
    let quote = chars[i];
    i += 1;
    while i < chars.len() && chars[i] != quote {
        i += if chars[i] == '\\' { 2 } else { 1 };
    }
    i + 1
}

/// The index behind a raw string whose text begins at `i`.
fn end_of_raw(chars: &[char], mut i: usize, hashes: usize) -> usize {
    while i < chars.len() {
        if chars[i] == '"' && chars[i + 1..].iter().take_while(|c| **c == '#').count() >= hashes {
            return i + 1 + hashes;
        }
        i += 1;
    }
    i
}

// ---------------------------------------------------------------------------------------------
// Migrations, and the files themselves

/// What is wrong with the sorted names of one database's migrations.
fn check_migrations(names: &[String]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, number) in names.iter().zip(1..) {
        let stem = name.strip_suffix(".sql").and_then(|stem| stem.split_once('_'));
        match stem {
            Some((digits, rest)) if digits.len() == 4 && !rest.is_empty() => {
                if digits.parse() != Ok(number) {
                    wrong.push(format!("{name}: the next number is {number:04}"));
                }
            }
            _ => wrong.push(format!("{name}: expected a name such as {number:04}_what.sql")),
        }
    }
    wrong
}

struct Source {
    /// The path from the project's root, with `/` between its parts.
    name: String,
    text: String,
}

fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("src")];
    while let Some(folder) = folders.pop() {
        for path in entries(&folder) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let inside = path.strip_prefix(root()).expect("a path below the root");
                let name = inside.to_str().expect("a name in UTF-8").replace('\\', "/");
                let text = fs::read_to_string(&path).expect("a readable file");
                found.push(Source { name, text });
            }
        }
    }
    assert!(!found.is_empty(), "no source found");
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let listing = fs::read_dir(folder).expect("a readable folder");
    let mut paths: Vec<_> = listing.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}

/// The folders in a folder, none if it is not there.
fn folders_in(folder: &Path) -> Vec<PathBuf> {
    if !folder.exists() {
        return Vec::new();
    }
    entries(folder).into_iter().filter(|path| path.is_dir()).collect()
}

fn name_of(path: &Path) -> String {
    path.file_name().and_then(|name| name.to_str()).expect("a name in UTF-8").to_owned()
}

fn assert_none(violations: &[String], help: &str) {
    assert!(violations.is_empty(), "\n{}\n({help})\n", violations.join("\n"));
}
