//! Two sorted tables as one, when nsexec is built.

/// The entries of both tables, sorted by name; `N` is the sum of their lengths.
pub(super) const fn merged<const N: usize>(
    one: &[(&'static str, u32)],
    other: &[(&'static str, u32)],
) -> [(&'static str, u32); N] {
    let mut all = [("", 0); N];
    let (mut from_one, mut from_other) = (0, 0);
    while from_one + from_other < N {
        let takes_one = from_other == other.len()
            || from_one < one.len() && is_before(one[from_one].0, other[from_other].0);
        let at = from_one + from_other;
        if takes_one {
            all[at] = one[from_one];
            from_one += 1;
        } else {
            all[at] = other[from_other];
            from_other += 1;
        }
    }
    all
}

/// `one < other`, by bytes: a const fn has no Ord.
const fn is_before(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut at = 0;
    while at < one.len() && at < other.len() {
        if one[at] != other[at] {
            return one[at] < other[at];
        }
        at += 1;
    }
    one.len() < other.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_sorted_tables_become_one() {
        let all: [(&str, u32); 5] =
            merged(&[("a", 1), ("ab", 2), ("c", 3)], &[("aa", 4), ("d", 5)]);
        let expected = [("a", 1), ("aa", 4), ("ab", 2), ("c", 3), ("d", 5)];
        assert_eq!(all, expected);
        assert_eq!(merged::<1>(&[], &[("x", 1)]), [("x", 1)]);
        assert_eq!(merged::<1>(&[("x", 1)], &[]), [("x", 1)]);
    }
}
