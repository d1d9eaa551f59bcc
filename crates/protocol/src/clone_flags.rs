//! The flags of clone(2) and unshare(2) that make namespaces.

use std::collections::BTreeSet;

use nsexec_request::Namespace;

/// The namespaces that `flags` make.
///
/// # Errors
/// The other bits: clone(2) gives them another meaning, or none yet.
pub fn parse(flags: u32) -> Result<BTreeSet<Namespace>, u32> {
    let requested = |namespace: &Namespace| flags & namespace.clone_flag() != 0;
    let namespaces: BTreeSet<Namespace> = Namespace::ALL.into_iter().filter(requested).collect();
    match flags & !print(&namespaces) {
        0 => Ok(namespaces),
        others => Err(others),
    }
}

/// The flags that make `namespaces`.
#[must_use]
pub fn print(namespaces: &BTreeSet<Namespace>) -> u32 {
    let bits = namespaces.iter().map(|namespace| namespace.clone_flag());
    bits.fold(0, |flags, bit| flags | bit)
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    #[test]
    fn each_bit_is_a_namespace_of_its_own() {
        for (flag, namespace) in [
            (0x80, Namespace::Time),
            (0x2_0000, Namespace::Mnt),
            (0x0200_0000, Namespace::Cgroup),
            (0x0400_0000, Namespace::Uts),
            (0x0800_0000, Namespace::Ipc),
            (0x1000_0000, Namespace::User),
            (0x2000_0000, Namespace::Pid),
            (0x4000_0000, Namespace::Net),
        ] {
            assert_eq!(parse(flag), Ok(BTreeSet::from([namespace])));
            // CLONE_VM, CLONE_PARENT, and the bit of no flag.
            for other in [0x100, 0x8000, 1] {
                assert_eq!(parse(flag | other), Err(other));
            }
        }
        assert_eq!(parse(0), Ok(BTreeSet::new()));
        assert_eq!(parse(0x7e02_0080), Ok(BTreeSet::from(Namespace::ALL)));
        assert_eq!(parse(u32::MAX), Err(!0x7e02_0080));
    }

    proptest! {
        #[test]
        fn every_bit_is_read_or_named(flags: u32) {
            match parse(flags) {
                Ok(namespaces) => prop_assert_eq!(print(&namespaces), flags),
                Err(others) => {
                    prop_assert_eq!(others & !flags, 0);
                    prop_assert!(parse(flags & !others).is_ok());
                }
            }
        }
    }
}
