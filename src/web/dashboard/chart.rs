//! Numbers as pictures. Lengths are attributes of SVG elements: shares of the width in percent, heights in `em`, so that a picture is as
//! wide as its place while its letters stay as large as those around it.

use crate::web::ports::Sum;

/// Bars of a picture; what comes behind them is one bar together.
pub const BARS: usize = 8;
/// Height of the columns, in hundredths of an `em`.
const COLUMN_HEIGHT: u64 = 900;
/// Above them, for the figure of the highest.
const ABOVE: u64 = 180;

/// What lengths stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Money.
    Money,
    /// Calls, where nothing cost anything.
    Calls,
}

impl Measure {
    /// For things that come to this.
    #[must_use]
    pub fn of(total: &Sum) -> Self {
        if total.cost.0 > 0 { Self::Money } else { Self::Calls }
    }

    /// So much of it.
    #[must_use]
    pub const fn amount(self, sum: &Sum) -> u64 {
        match self {
            Self::Money => sum.cost.0,
            Self::Calls => sum.calls,
        }
    }
}

/// `73.42%` of the width; what isn't nothing can be seen.
#[must_use]
pub fn width(part: u64, whole: u64) -> String {
    let least = if part > 0 { 50 } else { 0 };
    format!("{}%", hundredths(scaled(part, whole, 10_000).max(least)))
}

/// A share in whole percent, to the nearest; `< 1` and `99` where it is not quite nothing and not quite all.
#[must_use]
pub fn share(part: u64, whole: u64) -> String {
    match scaled(part, whole, 200).div_ceil(2) {
        0 if part > 0 => "< 1 %".to_owned(),
        100 if part < whole => "99 %".to_owned(),
        percent => format!("{percent} %"),
    }
}

/// `part / whole * most`, rounded down; at most `most`.
fn scaled(part: u64, whole: u64, most: u64) -> u64 {
    let scaled = u128::from(part) * u128::from(most) / u128::from(whole.max(1));
    u64::try_from(scaled).unwrap_or(most).min(most)
}

fn hundredths(number: u64) -> String {
    format!("{}.{:02}", number / 100, number % 100)
}

/// Where a column stands, and how high it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its left edge, in percent.
    pub x: String,
    /// Its middle, in percent.
    pub middle: String,
    /// In percent.
    pub width: String,
    /// Its upper edge, in `em`.
    pub y: String,
    /// In `em`.
    pub height: String,
}

/// Where the columns stand on, in `em`.
#[must_use]
pub fn ground() -> String {
    format!("{}em", hundredths(ABOVE + COLUMN_HEIGHT))
}

/// How high the highest column reaches, in `em`.
#[must_use]
pub fn ceiling() -> String {
    format!("{}em", hundredths(ABOVE))
}

/// Columns beside each other, the highest one as high as there is room.
#[must_use]
pub fn columns(amounts: &[u64]) -> Vec<Column> {
    let highest = amounts.iter().copied().max().unwrap_or(0);
    let count = u64::try_from(amounts.len()).unwrap_or(u64::MAX).max(1);
    let column = |(index, amount): (u64, &u64)| {
        let (left, right) = (index * 10_000 / count, (index + 1) * 10_000 / count);
        let room = right - left;
        let least = if *amount > 0 { 15 } else { 0 };
        let height = scaled(*amount, highest, COLUMN_HEIGHT).max(least);
        Column {
            x: format!("{}%", hundredths(left + room / 8)),
            middle: format!("{}%", hundredths(left + room / 2)),
            width: format!("{}%", hundredths(room * 3 / 4)),
            y: format!("{}em", hundredths(ABOVE + COLUMN_HEIGHT - height)),
            height: format!("{}em", hundredths(height)),
        }
    };
    (0..).zip(amounts).map(column).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::money::NanoUsd;

    #[test]
    fn lengths_are_in_proportion() {
        assert_eq!([width(1, 3), width(3, 3), width(0, 3)], ["33.33%", "100.00%", "0.00%"]);
        let drawn = columns(&[2, 0, 4]);
        assert_eq!([&drawn[0].height, &drawn[1].height, &drawn[2].height], ["4.50em", "0.00em", "9.00em"]);
        assert_eq!([&drawn[0].y, &drawn[2].y], ["6.30em", ceiling().as_str()]);
    }

    #[test]
    fn shares_add_up_but_for_what_is_nearly_nothing() {
        assert_eq!([share(69, 78), share(9, 78), share(1, 3), share(2, 3)], ["88 %", "12 %", "33 %", "67 %"]);
        assert_eq!([share(1, 200), share(199, 200), share(1, 201), share(5, 5)], ["1 %", "99 %", "< 1 %", "100 %"]);
    }

    #[test]
    fn a_little_can_be_seen() {
        assert_eq!((width(1, u64::MAX), share(1, u64::MAX)), ("0.50%".to_owned(), "< 1 %".to_owned()));
        assert_eq!(columns(&[1, u64::MAX])[0].height, "0.15em");
    }

    #[test]
    fn calls_are_drawn_where_nothing_cost_anything() {
        let free = Sum { calls: 3, tokens: 9, cost: NanoUsd::ZERO };
        assert_eq!(Measure::of(&free).amount(&free), 3);
        let paid = Sum { cost: NanoUsd(7), ..free };
        assert_eq!(Measure::of(&paid).amount(&paid), 7);
    }

    /// A length without its unit, in hundredths.
    fn length(text: &str) -> u64 {
        text.trim_end_matches(['%', 'e', 'm']).replace('.', "").parse().unwrap()
    }

    proptest! {
        #[test]
        fn no_column_leaves_its_picture(amounts in proptest::collection::vec(any::<u64>(), 0..40)) {
            let mut end = 0;
            for column in columns(&amounts) {
                prop_assert!(length(&column.x) >= end);
                end = length(&column.x) + length(&column.width);
                prop_assert!(end <= 10_000);
                prop_assert_eq!(length(&column.y) + length(&column.height), ABOVE + COLUMN_HEIGHT);
                prop_assert!(length(&column.y) >= ABOVE);
            }
        }
    }
}
