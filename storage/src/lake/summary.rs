//! Which summaries a segment may have, and which of them a question can be answered from.
//!
//! A summary is the segment's events, added up: one row for each combination of its dimensions' values, with how many
//! events there are and, where a report asks for them, their bytes. Each comes in two widths: of all stacks together, and
//! by stack.

use std::fmt;
use std::str::FromStr;

use super::aggregate::{Aggregate, Dimension, Measure};
use super::part::Layout;
use crate::error::StorageError;

struct Kind {
    name: &'static str,
    /// What it tells apart besides the service.
    dimensions: &'static [Dimension],
    measures: &'static [Measure],
}

const fn kind(name: &'static str, dimensions: &'static [Dimension], measures: &'static [Measure]) -> Kind {
    Kind { name, dimensions, measures }
}

/// The narrowest first: a question is answered from the first one that can.
const KINDS: [Kind; 7] = [
    kind("service", &[], &[Measure::Count, Measure::Bytes]),
    kind("cache", &[Dimension::Cache], &[Measure::Count]),
    kind("status", &[Dimension::Status], &[Measure::Count]),
    kind("launch", &[Dimension::Project, Dimension::Environment], &[Measure::Count, Measure::Bytes]),
    kind("sdk", &[Dimension::Sdk], &[Measure::Count]),
    kind("device", &[Dimension::Device], &[Measure::Count]),
    kind("url", &[Dimension::Url], &[Measure::Count]),
];

/// What the names of summaries by stack end with.
const BY_STACK: &str = "/stack";

/// A way to add a segment's events up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Summary {
    kind: usize,
    by_stack: bool,
}

impl Summary {
    /// Each kind's two widths, the one by stack first: the other can be made of it.
    pub(super) fn pairs() -> impl Iterator<Item = (Self, Self)> {
        (0..KINDS.len()).map(|kind| (Self { kind, by_stack: true }, Self { kind, by_stack: false }))
    }

    /// What it tells events apart by, in the order of its rows.
    pub(super) fn dimensions(self) -> Vec<Dimension> {
        let stack = self.by_stack.then_some(Dimension::ApiKey);
        let others = KINDS[self.kind].dimensions.iter().copied();
        [Dimension::Service].into_iter().chain(stack).chain(others).collect()
    }

    /// What it adds up.
    pub(super) fn measures(self) -> &'static [Measure] {
        KINDS[self.kind].measures
    }

    /// How its rows are laid out.
    pub(super) fn layout(self) -> Layout {
        Layout { columns: self.dimensions().len(), with_bytes: self.measures().contains(&Measure::Bytes) }
    }

    fn tells_apart(self, dimension: Dimension) -> bool {
        match dimension {
            Dimension::Service => true,
            Dimension::ApiKey => self.by_stack,
            other => KINDS[self.kind].dimensions.contains(&other),
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}", KINDS[self.kind].name, if self.by_stack { BY_STACK } else { "" })
    }
}

impl FromStr for Summary {
    type Err = StorageError;

    fn from_str(name: &str) -> Result<Self, StorageError> {
        let (kind, by_stack) = name.strip_suffix(BY_STACK).map_or((name, false), |kind| (kind, true));
        let kind = KINDS.iter().position(|known| known.name == kind);
        let kind = kind.ok_or_else(|| StorageError::Corrupt(format!("`{name}` is no summary")))?;
        Ok(Self { kind, by_stack })
    }
}

/// The summaries that a segment has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Summaries(pub(crate) Vec<Summary>);

impl Summaries {
    /// The narrowest one that answers the question.
    pub(super) fn covering(&self, question: &Aggregate) -> Option<Summary> {
        let needed = question.dimensions();
        let covers = |summary: &Summary| {
            needed.iter().all(|dimension| summary.tells_apart(*dimension))
                && question.measures.iter().all(|measure| summary.measures().contains(measure))
        };
        self.0.iter().copied().filter(covers).min()
    }
}

impl fmt::Display for Summaries {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.0.iter().map(Summary::to_string).collect();
        formatter.write_str(&names.join(" "))
    }
}

impl FromStr for Summaries {
    type Err = StorageError;

    fn from_str(names: &str) -> Result<Self, StorageError> {
        Ok(Self(names.split_whitespace().map(str::parse).collect::<Result<_, _>>()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lake::aggregate::{DayRange, Filter, Measure, Order};

    fn question(group: &[Dimension], filters: Vec<Filter>) -> Aggregate {
        let day = "2024-03-01".parse().unwrap();
        Aggregate {
            organization: "blt0123456789abcdef".parse().unwrap(),
            days: DayRange { from: day, to: day },
            bucket: None,
            filters,
            group: group.to_vec(),
            measures: vec![Measure::Count],
            order: Order::Date,
        }
    }

    fn covering(summaries: &str, question: &Aggregate) -> Option<String> {
        let summaries: Summaries = summaries.parse().unwrap();
        summaries.covering(question).map(|summary| summary.to_string())
    }

    #[test]
    fn names_are_read_back() {
        let all = Summaries(Summary::pairs().flat_map(|(by_stack, of_all)| [by_stack, of_all]).collect());
        assert_eq!(all.to_string().parse::<Summaries>().unwrap(), all);
        assert!("stack".parse::<Summaries>().is_err());
        assert_eq!(" ".parse::<Summaries>().unwrap(), Summaries::default());
    }

    #[test]
    fn the_narrowest_that_tells_all_apart_is_taken() {
        let usage = question(&[Dimension::Service], vec![]);
        assert_eq!(covering("url device status/stack status", &usage).unwrap(), "status");
        let of_stack = question(&[Dimension::Service], vec![Filter::OneOf(Dimension::ApiKey, vec!["blt1".to_owned()])]);
        assert_eq!(covering("service status device/stack url/stack", &of_stack).unwrap(), "device/stack");
        let urls = question(&[Dimension::Service, Dimension::Url], vec![Filter::Present(Dimension::Url)]);
        assert_eq!(covering("service status device/stack", &urls), None);
    }

    #[test]
    fn what_is_added_up_has_to_be_in_it() {
        let bytes = Aggregate { measures: vec![Measure::Bytes], ..question(&[Dimension::Service], vec![]) };
        assert_eq!(covering("status service/stack", &bytes).unwrap(), "service/stack");
        assert_eq!(covering("status device", &bytes), None);
    }

    #[test]
    fn what_is_filtered_by_has_to_be_told_apart_too() {
        let of_status = question(&[Dimension::Service, Dimension::Url], vec![Filter::Status(404)]);
        assert_eq!(covering("service status url url/stack", &of_status), None);
        let project = Filter::OneOf(Dimension::Project, vec!["p".to_owned()]);
        assert_eq!(
            covering("service launch/stack", &question(&[Dimension::Service], vec![project])).unwrap(),
            "launch/stack"
        );
    }
}
