//! Names the nsexec that cargo builds beside the tests. CARGO_BIN_EXE_nsexec is set only for
//! the tests of its own package.

use std::path::{Component, Path};

fn main() {
    // target/PROFILE/build/...
    let own = std::env::var_os("OUT_DIR").expect("OUT_DIR");
    let build = Path::new(&own).ancestors().find(|directory| {
        let last = directory.components().next_back();
        last == Some(Component::Normal("build".as_ref()))
    });
    let profile = build.and_then(Path::parent).expect("target/PROFILE/build");
    println!(
        "cargo:rustc-env=NSEXEC_UNDER_TEST={}",
        profile.join("nsexec").display()
    );
    println!("cargo:rerun-if-changed=build.rs");
}
