//! A generator's decisions, drawn from a list of numbers.
//!
//! The list is what the property test generates and shrinks: shorter lists and smaller numbers make smaller cases,
//! because where the list has ended every decision is the first, simplest one.

pub struct Choices {
    numbers: Vec<u16>,
    next: usize,
}

impl Choices {
    pub fn new(numbers: Vec<u16>) -> Self {
        Self { numbers, next: 0 }
    }

    /// A number below `options`; the first is to be the simplest.
    pub fn below(&mut self, options: usize) -> usize {
        let number = self.numbers.get(self.next).copied().unwrap_or(0);
        self.next += 1;
        usize::from(number) % options.max(1)
    }

    pub fn one<'a, T>(&mut self, options: &'a [T]) -> &'a T {
        &options[self.below(options.len())]
    }

    /// True in so many of a hundred cases.
    pub fn percent(&mut self, percent: usize) -> bool {
        100 - self.below(100) <= percent
    }

    pub fn int(&mut self, low: i64, high: i64) -> i64 {
        low + self.below(usize::try_from(high - low + 1).unwrap_or(1)) as i64
    }
}
