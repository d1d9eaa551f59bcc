//! The state of a running program: two registers and scratch memory.

use crate::seccomp::operation::{CELLS, Operand, Register};

/// The state, over values that are known (`u32`) or may not be (`Option<u32>`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Machine<V> {
    pub(super) accumulator: V,
    pub(super) index: V,
    pub(super) cells: [V; CELLS],
}

impl<V: Copy + From<u32>> Machine<V> {
    /// At the first instruction: all zeros. No valid program reads a cell of
    /// scratch memory before it has written to it.
    pub(super) fn new() -> Self {
        Self {
            accumulator: 0.into(),
            index: 0.into(),
            cells: [0.into(); CELLS],
        }
    }

    pub(super) fn register(&self, register: Register) -> V {
        match register {
            Register::Accumulator => self.accumulator,
            Register::Index => self.index,
        }
    }

    pub(super) fn set(&mut self, register: Register, value: V) {
        match register {
            Register::Accumulator => self.accumulator = value,
            Register::Index => self.index = value,
        }
    }

    pub(super) fn operand(&self, operand: Operand) -> V {
        match operand {
            Operand::Constant(constant) => constant.into(),
            Operand::Index => self.index,
        }
    }

    /// `register = cell`; `None`: there is no such cell.
    pub(super) fn recall(&mut self, register: Register, cell: usize) -> Option<()> {
        let value = *self.cells.get(cell)?;
        self.set(register, value);
        Some(())
    }

    /// `cell = register`; `None`: there is no such cell.
    pub(super) fn store(&mut self, register: Register, cell: usize) -> Option<()> {
        *self.cells.get_mut(cell)? = self.register(register);
        Some(())
    }

    /// `register = the other one`
    pub(super) fn copy_into(&mut self, register: Register) {
        match register {
            Register::Accumulator => self.accumulator = self.index,
            Register::Index => self.index = self.accumulator,
        }
    }
}
