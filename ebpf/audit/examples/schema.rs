//! Prints docs/audit-event.schema.json.

use std::io::{self, Write as _};

use nsexec_audit::output::event_json;

fn main() -> io::Result<()> {
    let schema = serde_json::to_string_pretty(&event_json::schema())?;
    writeln!(io::stdout(), "{schema}")
}
