//! Aligned columns, and colour where a terminal reads it.

use std::io::{self, IsTerminal};

/// Prints one line per row, with columns padded to the widest cell, except the last.
pub(crate) fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut out = String::new();
    for row in rows {
        let mut line = String::from(" ");
        for (width, cell) in widths.iter().zip(row) {
            line.push_str(&format!(" {cell:<width$} "));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

pub(crate) fn bold(text: &str) -> String {
    coloured(text, "1")
}

pub(crate) fn green(text: &str) -> String {
    coloured(text, "32")
}

pub(crate) fn red(text: &str) -> String {
    coloured(text, "1;31")
}

fn coloured(text: &str, code: &str) -> String {
    if io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        format!("\x1b[{code}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::aligned;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows =
            [["a", "b", "c"], ["long", "", "d"], ["é", "ff", ""]].map(|row| row.map(str::to_owned));
        assert_eq!(aligned(&rows), "  a     b   c\n  long      d\n  é     ff\n");
    }
}
