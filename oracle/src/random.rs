//! Reproducible random numbers: xorshift64* (Vigna 2016).

use nsexec_policy_engine::seccomp::profile::{Action, Comparison, Condition, Profile, Rule, When};
use nsexec_policy_engine::seccomp::table::Arch;
use nsexec_policy_engine::seccomp::width::compares_32_bits;

/// The generator.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Starts from a seed. The final step of splitmix64 mixes it, so that
    /// adjacent seeds give unrelated numbers. Its single 0, a fixed point of the
    /// generator, becomes 1.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut state = (seed ^ seed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        state = (state ^ state >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        Self((state ^ state >> 31).max(1))
    }

    /// 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end.max(1)).unwrap_or(1);
        usize::try_from((self.bits() >> 16) % end).unwrap_or(0)
    }

    /// One of them.
    pub fn of<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        all.get(self.below(all.len()))
    }

    /// A value that comparisons often get wrong: a few bits, many bits, or bits
    /// on both sides of bit 32.
    pub fn value(&mut self) -> u64 {
        let bits = self.bits();
        match self.below(8) {
            0 => bits & 7,
            1 => 1 << (bits & 63),
            2 => u64::from(u32::MAX).wrapping_add(bits & 3).wrapping_sub(1),
            3 => bits & 0xffff,
            4 => bits & u64::from(u32::MAX),
            5 => bits << 32,
            6 => u64::MAX - (bits & 3),
            _ => bits,
        }
    }

    /// A profile over few calls, so that its rules overlap. One in four is over
    /// arbitrary calls, so that the dispatch tree has many shapes too.
    pub fn profile(&mut self, arch: Arch) -> Profile {
        const NAMES: [&str; 9] = [
            "read",
            "ioctl",
            "clone",
            "clone3",
            "socket",
            "personality",
            "openat",
            "keyctl",
            "statx",
        ];
        let default = self.action();
        let wide = self.below(4) == 0;
        let mut rules = Vec::new();
        for _ in 0..self.below(if wide { 100 } else { 16 }) {
            let name = if wide {
                self.of(arch.calls()).map(|(name, _)| *name)
            } else {
                self.of(&NAMES).copied()
            };
            let Some(syscall) = name.and_then(|name| arch.number(name)) else {
                continue;
            };
            let action = self.action();
            let when = self.when(|argument| compares_32_bits(arch, syscall, argument, action));
            rules.push(Rule {
                syscall,
                when,
                action,
            });
        }
        let named = rules.iter().map(|rule| rule.syscall).max();
        let newest = if self.below(2) == 0 {
            u32::MAX
        } else {
            named.unwrap_or(u32::MAX)
        };
        Profile {
            default,
            newest,
            rules,
        }
    }

    fn action(&mut self) -> Action {
        match self.below(8) {
            0 => Action::Log,
            1 => Action::Errno(1),
            2 => Action::Errno(38),
            3 => Action::Errno(u16::try_from(self.below(4095)).unwrap_or(2)),
            4 => Action::Trap,
            5 => Action::KillProcess,
            _ => Action::Allow,
        }
    }

    fn when(&mut self, low: impl Fn(u8) -> bool) -> When {
        let mut conditions = Vec::new();
        for argument in 0..6 {
            if self.below(5) == 0 {
                let cut = |value: u64| {
                    if low(argument) {
                        value & u64::from(u32::MAX)
                    } else {
                        value
                    }
                };
                let value = cut(self.value());
                let mask = self.value();
                let comparison = match self.below(7) {
                    0 => Comparison::NotEqual(value),
                    1 => Comparison::Less(value),
                    2 => Comparison::LessOrEqual(value),
                    3 => Comparison::Greater(value),
                    4 => Comparison::GreaterOrEqual(value),
                    5 => Comparison::Masked {
                        mask,
                        value: value & mask,
                    },
                    _ => Comparison::Equal(value),
                };
                conditions.push(Condition {
                    argument,
                    comparison,
                });
            }
        }
        if conditions.is_empty() {
            When::Always
        } else {
            When::All(conditions)
        }
    }
}
