//! The profiles that the oracles are compared on.

use std::path::{Path, PathBuf};

use nsexec_kernel_text::capability::CapabilitySet;
use nsexec_policy_engine::seccomp::oci::{self, Context};
use nsexec_policy_engine::seccomp::profile::Profile;
use nsexec_policy_engine::seccomp::table::Arch;

/// The path of podman's profile in Debian's golang-github-containers-common.
pub const CONTAINERS: &str = "/usr/share/containers/seccomp.json";

/// The shipped profiles, by path.
#[must_use]
pub fn shipped() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies/seccomp");
    let names = ["docker-default", "strict", "ceiling", "ceiling-host"];
    names
        .iter()
        .map(|name| directory.join(format!("{name}.json")))
        .collect()
}

/// The profile of a file without capabilities, and with all.
///
/// # Errors
/// The file is missing, or is no profile.
pub fn read(file: &Path, arch: Arch) -> Result<Vec<Profile>, String> {
    let both = read_both(file, arch)?;
    Ok(both.into_iter().map(|(profile, _)| profile).collect())
}

/// The same, each with the profile for the 32-bit programs of `arch`, as if the file
/// listed their architecture.
///
/// # Errors
/// As [`read`], or the file lists no architectures.
pub fn read_both(file: &Path, arch: Arch) -> Result<Vec<(Profile, Profile)>, String> {
    let text = std::fs::read_to_string(file);
    let text = text.map_err(|error| format!("{}: {error}", file.display()))?;
    let compat_name = arch.of_32_bit().ok_or("it is 32-bit itself")?.oci_name();
    let text = match text.contains(&format!("\"{compat_name}\"")) {
        true => text,
        false => text.replacen(
            "\"architectures\": [",
            &format!("\"architectures\": [\"{compat_name}\", "),
            1,
        ),
    };
    let conditional = oci::parse(text.as_bytes());
    let conditional = conditional.map_err(|fault| format!("{}: {fault}", file.display()))?;
    let sets = [CapabilitySet::EMPTY, CapabilitySet::from_bits(u64::MAX)];
    sets.into_iter()
        .map(|bounding| {
            let context = Context {
                arch,
                bounding,
                kernel: (6, 18),
            };
            let large = conditional
                .resolve(&context)
                .map_err(|fault| format!("{}: {fault}", file.display()))?;
            let small = conditional.resolve_32_bit(&context);
            let small =
                small.ok_or_else(|| format!("{} lists no {compat_name}", file.display()))?;
            Ok((large, small))
        })
        .collect()
}
