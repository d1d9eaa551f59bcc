//! A shortest cycle in a graph.

use std::collections::{BTreeMap, VecDeque};

use super::Graph;

/// The edges of a shortest cycle, if there is one.
pub(super) fn find(graph: &Graph) -> Option<Vec<(String, String)>> {
    let circles = graph.keys().filter_map(|start| through(graph, start));
    circles.min_by_key(Vec::len)
}

/// A shortest cycle through `start`.
fn through(graph: &Graph, start: &str) -> Option<Vec<(String, String)>> {
    let mut before: BTreeMap<&str, &str> = BTreeMap::new();
    let mut left = VecDeque::from([start]);
    while let Some(at) = left.pop_front() {
        for next in graph.get(at)?.keys() {
            if next == start {
                let mut arrows = vec![(at.to_owned(), start.to_owned())];
                let mut to = at;
                while let Some(from) = before.get(to) {
                    arrows.push(((*from).to_owned(), to.to_owned()));
                    to = from;
                }
                arrows.reverse();
                return Some(arrows);
            }
            if !before.contains_key(next.as_str()) {
                before.insert(next, at);
                left.push_back(next);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(arrows: &[(&str, &str)]) -> Graph {
        let mut graph = Graph::new();
        for (from, to) in arrows {
            graph.entry((*to).to_owned()).or_default();
            let uses = graph.entry((*from).to_owned()).or_default();
            uses.entry((*to).to_owned()).or_default();
        }
        graph
    }

    #[test]
    fn a_cycle_is_found_and_a_diamond_is_none() {
        let diamond = [("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")];
        assert_eq!(find(&graph(&diamond)), None);
        let circle = [("a", "b"), ("b", "c"), ("c", "b")];
        let arrow = |from: &str, to: &str| (from.to_owned(), to.to_owned());
        assert_eq!(
            find(&graph(&circle)),
            Some(vec![arrow("b", "c"), arrow("c", "b")])
        );
    }
}
