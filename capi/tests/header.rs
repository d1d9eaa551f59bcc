//! include/nsexec.h is cbindgen's output for src/lib.rs, and lists all exported
//! symbols.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::collections::BTreeSet;
use std::path::Path;

#[test]
fn the_header_is_made_from_the_source() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut made = Vec::new();
    cbindgen::Builder::new()
        .with_config(cbindgen::Config::from_file(root.join("cbindgen.toml")).unwrap())
        .with_src(root.join("src/lib.rs"))
        .generate()
        .unwrap()
        .write(&mut made);
    let made = String::from_utf8(made).unwrap();
    let header = root.join("include/nsexec.h");
    if std::env::var_os("NSEXEC_WRITE_HEADER").is_some() {
        std::fs::write(&header, &made).unwrap();
    }
    let kept = std::fs::read_to_string(&header).unwrap();
    assert_eq!(made, kept, "run this test once with NSEXEC_WRITE_HEADER=1");
    let declared: BTreeSet<&str> = kept
        .lines()
        .filter_map(|line| {
            line.strip_suffix(';')?
                .split('(')
                .next()?
                .split([' ', '*'])
                .next_back()
        })
        .collect();
    let exported: BTreeSet<&str> = include_str!("../exports").lines().collect();
    assert_eq!(declared, exported);
}
