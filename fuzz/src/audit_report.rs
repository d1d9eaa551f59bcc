//! The HTML report of the auditor.

use nsexec_audit::commands::report;
use nsexec_audit::output::hash_chain::{self, BEGINNING};

/// A file of lines. If the file is readable, its report has the same script and
/// pictures as every report, escapes each character that is not plain, and
/// reports a broken chain.
pub fn audit_report(mut input: &[u8]) {
    let Ok(run) = report::read([("<input>".to_owned(), input)]) else {
        return;
    };
    let page = report::page(&run).expect("it is written to memory");
    assert!(page.ends_with("</script>\n</body>\n</html>\n"));
    for (tag, count) in [("<script", 1), ("<style", 1), ("<meta ", 5), ("<img", 0)] {
        assert_eq!(page.matches(tag).count(), count, "{tag}");
    }
    let plain = |c: char| c == '\n' || (!c.is_control() && !c.is_whitespace()) || c == ' ';
    assert!(page.chars().all(plain));
    let broken = page.contains("<b>The chain is broken.</b>");
    let begins = !page.contains("<b>The beginning is missing.</b>");
    if let Ok(verified) = hash_chain::verify(&mut input, BEGINNING)
        && begins
    {
        assert_eq!(broken, verified.is_err());
    }
}
