//! The profiles that oracles are asked about.

use std::path::{Path, PathBuf};

use nsexec_kernel_text::capability::CapabilitySet;
use nsexec_policy_engine::seccomp::oci::{self, Context};
use nsexec_policy_engine::seccomp::profile::Profile;
use nsexec_policy_engine::seccomp::table::Arch;

/// Where Debian's golang-github-containers-common puts podman's profile.
pub const CONTAINERS: &str = "/usr/share/containers/seccomp.json";

/// The profiles that ship, by their paths.
#[must_use]
pub fn shipped() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies/seccomp");
    let names = ["docker-default", "strict", "ceiling", "ceiling-host"];
    names
        .iter()
        .map(|name| directory.join(format!("{name}.json")))
        .collect()
}

/// A file's profile without capabilities, and with all.
///
/// # Errors
/// It is not there, or no profile.
pub fn read(file: &Path, arch: Arch) -> Result<Vec<Profile>, String> {
    let text = std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let conditional = oci::parse(&text).map_err(|fault| format!("{}: {fault}", file.display()))?;
    let sets = [CapabilitySet::EMPTY, CapabilitySet::from_bits(u64::MAX)];
    sets.into_iter()
        .map(|bounding| {
            let context = Context {
                arch,
                bounding,
                kernel: (6, 18),
            };
            conditional
                .resolve(&context)
                .map_err(|fault| format!("{}: {fault}", file.display()))
        })
        .collect()
}
