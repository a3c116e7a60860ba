//! The words of a question that say what to do, as opposed to those that name things.

use super::calendar::Grain;
use crate::planner::metric::Aggregation;

/// How rows are boiled down to one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aggregate {
    Count,
    CountDistinct,
    Sum,
    Average,
    Minimum,
    Maximum,
    Median,
}

impl Aggregate {
    /// The word for it in explanations and column aliases.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::CountDistinct => "distinct",
            Self::Sum => "total",
            Self::Average => "average",
            Self::Minimum => "minimum",
            Self::Maximum => "maximum",
            Self::Median => "median",
        }
    }
}

impl From<Aggregation> for Aggregate {
    fn from(aggregation: Aggregation) -> Self {
        match aggregation {
            Aggregation::Count => Self::Count,
            Aggregation::CountDistinct => Self::CountDistinct,
            Aggregation::Sum => Self::Sum,
            Aggregation::Average => Self::Average,
            Aggregation::Minimum => Self::Minimum,
            Aggregation::Maximum => Self::Maximum,
            Aggregation::Median => Self::Median,
        }
    }
}

/// From which end rows are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Ascending,
    Descending,
}

/// What a superlative is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quality {
    /// "most", "highest", "largest": what follows or precedes says of what.
    Any,
    /// "most expensive", "cheapest"
    Price,
    /// "highest paid"
    Salary,
    /// "newest", "latest"
    Time,
    /// "oldest", "youngest": of people the age, of things the time.
    Age,
    /// "most popular", "most common"
    Frequency,
    /// "longest", "shortest"
    Duration,
    /// "heaviest", "lightest"
    Mass,
    /// "tallest"
    Height,
}

impl Quality {
    /// Words of the columns that it is about.
    pub(super) fn column_words(self) -> &'static [&'static str] {
        match self {
            Self::Price => &["price", "cost", "amount", "total"],
            Self::Salary => &["salary", "pay", "wage", "compensation"],
            Self::Duration => &["duration", "length", "second", "minute", "hour", "day"],
            Self::Age => &["age"],
            Self::Mass => &["weight"],
            Self::Height => &["height"],
            Self::Any | Self::Time | Self::Frequency => &[],
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    pub(super) fn as_sql(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "<>",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }

    pub(super) fn as_words(self) -> &'static str {
        match self {
            Self::Equal => "exactly",
            Self::NotEqual => "not",
            Self::Less => "less than",
            Self::LessOrEqual => "at most",
            Self::Greater => "more than",
            Self::GreaterOrEqual => "at least",
        }
    }

    /// What holds where this does not.
    pub(super) fn inverse(self) -> Self {
        match self {
            Self::Equal => Self::NotEqual,
            Self::NotEqual => Self::Equal,
            Self::Less => Self::GreaterOrEqual,
            Self::LessOrEqual => Self::Greater,
            Self::Greater => Self::LessOrEqual,
            Self::GreaterOrEqual => Self::Less,
        }
    }

    pub(super) fn of_sign(sign: &str) -> Self {
        match sign {
            "<" => Self::Less,
            "<=" => Self::LessOrEqual,
            ">" => Self::Greater,
            ">=" => Self::GreaterOrEqual,
            "<>" => Self::NotEqual,
            _ => Self::Equal,
        }
    }
}

/// How a text is searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Match {
    Contains,
    Starts,
    Ends,
}

/// What a word or phrase asks to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cue {
    /// Says nothing that changes the answer.
    Noise,
    /// "of": what follows owns what precedes.
    Of,
    /// "which", "what", "who": what follows is the subject.
    Which,
    /// "all", "every": no limit.
    All,
    Count,
    Aggregate(Aggregate),
    Distinct,
    Share,
    By,
    SortBy,
    Sorted(Direction),
    /// "in descending order of": what follows says by what.
    SortedBy(Direction),
    /// "top", "best", "bottom"
    Top(Direction),
    /// "first 10", "last 10"
    Edge(Direction),
    Superlative(Direction, Quality),
    Compare(Comparison),
    /// "or more", behind a number
    OrCompare(Comparison),
    /// "sort", with its "by" further on.
    Sort,
    /// "older than"
    CompareQuality(Comparison, Quality),
    Between,
    Not,
    Without,
    Missing,
    Is,
    Named,
    Match(Match),
    And,
    Or,
    /// "both": of two values that follow, each must be there.
    Both,
    Grain(Grain),
    /// "day of week"
    Weekday,
    /// "hour of day"
    HourOfDay,
    When,
}

use Cue::{And, Between, By, Compare, Count, Distinct, Edge, Is, Missing, Named, Noise, Not, Of, Or};
use Cue::{CompareQuality, Share, SortBy, Sorted, SortedBy, Superlative, Top, When, Which, Without};
use Direction::{Ascending, Descending};

/// Phrases and their cues. Longer phrases win over shorter ones.
#[rustfmt::skip]
const PHRASES: &[(Cue, &[&str])] = &[
    (Noise, &[
        "the", "a", "an", "is there", "are there", "there", "me", "us", "our", "my", "your", "their", "his", "her",
        "please", "can you", "could you", "would you", "can i", "i", "we", "you", "want", "want to", "would like", "like to", "need",
        "know", "see", "tell", "get", "give", "show", "list", "display", "find", "fetch", "return", "print", "calculate",
        "compute", "report", "look up", "for", "in", "on", "at", "from", "to", "with", "having", "have", "has", "had", "that",
        "those", "these", "this", "they", "them", "it", "its", "do", "does", "did", "done", "been", "be", "will", "can", "any",
        "some", "so", "than", "then", "as", "into", "within", "during", "made", "make", "makes", "making",
        "placed", "place", "placed by", "made by", "bought by", "purchased by", "generated", "live", "lives", "living", "located",
        "based", "belong", "belonging", "belongs", "whose", "where", "come", "came", "comes", "coming", "overall", "altogether", "whole", "entire",
        "dollars", "dollar", "euros", "euro", "usd", "eur", "rows", "row", "records", "record", "entries", "data", "just", "only",
        "also", "currently", "now", "each other", "took place", "happened", "occurred", "exist", "exists", "along", "together",
        "well", "hi", "hello", "thanks", "thank you", "ever", "yet", "still", "given", "working", "works", "work", "worked", "took", "take",
        "takes", "taken", "either", "corresponding", "correspond", "corresponds", "respective", "respectively", "associated", "associated with", "information", "info", "listed", "use", "uses", "used", "lasting", "lasted", "received", "receive", "gotten", "got", "by any", "via", "using", "possible", "if", "was there", "were there", "years old", "among", "everybody", "everyone", "someone",
        "all information about", "all the information about", "information about", "the information about", "info about", "regarding", "information regarding", "all information regarding", "the information regarding", "the word", "the words", "the string",
        "the substring", "the letter", "the letters", "the phrase", "substring", "the prefix", "the result", "the results", "in the database", "in our database", "in this database", "in the table", "in this table", "in the system", "in the records", "in our records", "in the data", "in the world", "around the world", "his or her", "him or her", "he or she", "ordered from",
    ]),
    (Of, &["of", "of the", "of all", "of all the", "belonging to", "across", "across all", "across all the", "across the"]),
    (Which, &["which", "what", "who", "whom"]),
    (When, &["when"]),
    (Cue::All, &["all", "all the", "all of", "all of the", "everything", "complete"]),
    (Count, &[
        "how many", "number of", "the number of", "numbers of", "the numbers of", "the corresponding number of", "total number of", "the total number of", "count", "count of", "how often", "how many times", "amount of times", "the count of", "the amount of times",
    ]),
    (Cue::Aggregate(Aggregate::Sum), &["total", "sum", "sum of", "total of", "how much", "combined", "in total", "sum up", "summed", "cumulative"]),
    (Cue::Aggregate(Aggregate::Average), &["average", "avg", "mean", "average of", "on average", "typical", "averaged"]),
    (Cue::Aggregate(Aggregate::Median), &["median", "median of"]),
    (Cue::Aggregate(Aggregate::Minimum), &["minimum", "min", "minimal", "minimum of"]),
    (Cue::Aggregate(Aggregate::Maximum), &["maximum", "max", "maximal", "maximum of"]),
    (Distinct, &["distinct", "different", "unique", "various"]),
    (Share, &[
        "percentage", "percentage of", "percent", "percent of", "share", "share of", "proportion", "proportion of", "fraction",
        "fraction of", "what percentage of", "what share of", "what percent of", "ratio of",
    ]),
    (By, &[
        "by", "per", "for each", "for every", "each", "every", "in each", "of each", "in every", "grouped by", "group by", "broken down by",
        "split by", "by each", "according to", "depending on", "breakdown by", "breakdown per", "divided by", "in terms of", "in terms of the",
    ]),
    (SortBy, &[
        "sorted by", "sort by", "ordered by", "order by", "ranked by", "rank by", "sorted on", "arranged by", "in order of", "in the order of",
        "order them by", "order the results by", "order the result by", "sort them by", "sort the list by", "sort the results by",
        "sort the result by", "sort results by", "sorted using", "ordered using", "sort using", "order using", "order results by", "order the list by", "in order by", "by the order of", "sorted by the order of", "ordered by the order of",
    ]),
    (Cue::Sort, &["sort", "sorted", "arrange", "arranged"]),
    (Cue::OrCompare(Comparison::GreaterOrEqual), &["or more", "or above", "or higher", "or greater", "or older", "or larger", "or later", "or after"]),
    (Cue::OrCompare(Comparison::LessOrEqual), &["or less", "or fewer", "or below", "or lower", "or younger", "or smaller", "or earlier", "or before"]),
    (SortedBy(Ascending), &[
        "in ascending order of", "in increasing order of", "in the ascending order of", "in ascending order by", "ordered ascending by",
        "in alphabetical order of", "in alphabetical order by", "in lexicographical order of", "in lexicographic order of",
        "in ascending alphabetical order of", "ordered alphabetically by", "sorted alphabetically by", "alphabetically by", "ordered by ascending", "sorted by ascending", "in order of ascending", "in alphabetic order of", "in alphabetic order by", "by ascending order of", "in a ascending order of", "in an ascending order of",
        "alphabetically ordered by", "alphabetically sorted by", "in the alphabetical order of", "in the alphabetical order by", "in the increasing order of", "by ascending", "by increasing", "listed by ascending", "listed in ascending order of", "ordered in ascending order of", "sorted in ascending order of", "ordered by increasing", "listed in alphabetical order of", "sorted in alphabetical order of", "ordered in alphabetical order of", "ordered in ascending order by", "in ascending order of the", "in ascending order using", "in the ascending order using", "sorted in ascending order by",
        "sorted in alphabetical order by", "ordered in alphabetical order by", "in increasing order by", "sorted ascending by",
    ]),
    (SortedBy(Descending), &[
        "in descending order of", "in decreasing order of", "in the descending order of", "in descending order by", "ordered descending by",
        "sorted descending by", "in decreasing order by", "in reverse alphabetical order of", "in reverse alphabetical order by",
        "in descending order of the", "in descending order using", "in the descending order using", "sorted in descending order using", "sorted in the descending order using", "by descending order of", "in a descending order of", "in an descending order of", "in the decreasing order of", "by descending", "by decreasing", "ordered by descending", "sorted by descending", "ordered by decreasing", "listed by descending", "listed in descending order of", "ordered in descending order of", "sorted in descending order of", "ordered in descending order by", "sorted in descending order by", "in descending alphabetical order of",
    ]),
    (Sorted(Ascending), &["ascending", "asc", "in alphabetical order", "in alphabetic order", "alphabetic order", "in lexicographical order", "in lexicographic order", "in increasing order", "in ascending alphabetical order", "alphabetical order", "ascendingly", "in the ascending order", "from low to high", "lowest first", "smallest first", "oldest first", "alphabetically", "in ascending order", "earliest first", "ordered alphabetically", "sorted alphabetically", "listed alphabetically", "alphabetically ordered", "alphabetically sorted", "in an alphabetical order", "in the alphabetical order", "ordered in alphabetical order", "sorted in alphabetical order", "listed in alphabetical order", "ordered in an alphabetical order", "ordered in ascending order", "listed in ascending order", "by alphabetical order", "from young to old", "from small to large", "from small to big", "in ascending lexicographical order", "ordered by alphabetical order", "sorted by alphabetical order", "ordered list", "in ascending alphabetic order"]),
    (Sorted(Descending), &["descending", "desc", "in decreasing order", "in reverse alphabetical order", "in reverse lexicographical order", "in reversed lexicographical order", "descendingly", "in the descending order", "from high to low", "highest first", "largest first", "newest first", "in descending order", "in descending alphabetical order", "in reverse order", "ordered in descending order", "listed in descending order", "ordered in descending alphabetical order", "sorted in descending alphabetical order", "ordered in reverse alphabetical order", "sorted in reverse alphabetical order", "from old to young", "from large to small", "from big to small", "in descending lexicographical order", "in descending lexicographic order", "in reversed alphabetical order", "in an descending order", "in a descending order", "in the decreasing order", "latest first", "biggest first", "most recent first"]),
    (Top(Descending), &["top", "best", "leading", "best selling", "biggest selling"]),
    (Top(Ascending), &["bottom", "worst"]),
    (Edge(Ascending), &["first"]),
    (Edge(Descending), &["last"]),
    (Superlative(Descending, Quality::Any), &[
        "most", "the most", "highest", "largest", "biggest", "greatest", "max number of", "largest number of", "highest number of",
    ]),
    (Superlative(Ascending, Quality::Any), &["least", "the least", "lowest", "smallest", "fewest", "the fewest"]),
    (Superlative(Descending, Quality::Price), &["most expensive", "priciest", "dearest", "costliest"]),
    (Superlative(Ascending, Quality::Price), &["cheapest", "least expensive", "most affordable"]),
    (Superlative(Descending, Quality::Salary), &["highest paid", "best paid", "top paid", "highest earning", "best earning"]),
    (Superlative(Ascending, Quality::Salary), &["lowest paid", "worst paid", "lowest earning"]),
    (Superlative(Descending, Quality::Time), &["newest", "latest", "most recent", "recent", "recently", "most recently"]),
    (Superlative(Ascending, Quality::Time), &["earliest", "least recent"]),
    (Superlative(Descending, Quality::Age), &["oldest"]),
    (Superlative(Ascending, Quality::Age), &["youngest"]),
    (Superlative(Descending, Quality::Frequency), &["most popular", "most common", "most frequent", "most often", "most frequently", "most commonly", "most commonly used", "most frequently used", "most visited", "most viewed", "most sold", "most ordered", "most times", "largest number of times", "greatest number of times", "most number of times", "most used", "most widely used"]),
    (Superlative(Ascending, Quality::Frequency), &["least popular", "least common", "least frequent", "least frequently", "least often", "least commonly", "rarest", "least used", "least visited"]),
    (Superlative(Descending, Quality::Duration), &["longest"]),
    (Superlative(Ascending, Quality::Duration), &["shortest"]),
    (Superlative(Descending, Quality::Mass), &["heaviest"]),
    (Superlative(Ascending, Quality::Mass), &["lightest"]),
    (Superlative(Descending, Quality::Height), &["tallest"]),
    (CompareQuality(Comparison::Greater, Quality::Age), &["older than"]),
    (CompareQuality(Comparison::Less, Quality::Age), &["younger than"]),
    (CompareQuality(Comparison::Greater, Quality::Mass), &["heavier than"]),
    (CompareQuality(Comparison::Less, Quality::Mass), &["lighter than"]),
    (CompareQuality(Comparison::Greater, Quality::Height), &["taller than"]),
    (Compare(Comparison::Greater), &["more than", "over", "above", "greater than", "larger than", "bigger than", "higher than", "longer than", "later than", "greater", "higher", "larger", "bigger", "exceeding", "exceeds", "exceed", "upwards of", "after more than", "after"]),
    (Compare(Comparison::GreaterOrEqual), &["at least", "no less than", "no fewer than", "not less than", "minimum of at least", "greater than or equal to", "larger than or equal to", "more than or equal to", "higher than or equal to", "starting at", "since"]),
    (Compare(Comparison::Less), &["lower", "smaller", "less than", "fewer than", "under", "below", "smaller than", "lower than", "cheaper than", "shorter than", "earlier than", "before", "prior to"]),
    (Compare(Comparison::LessOrEqual), &["at most", "no more than", "not more than", "up to", "less than or equal to", "smaller than or equal to", "lower than or equal to", "fewer than or equal to", "maximum of at most"]),
    (Compare(Comparison::Equal), &["exactly", "equal to", "equals", "equal"]),
    (Compare(Comparison::NotEqual), &["not equal to", "other than", "different from"]),
    (Between, &["between", "in the range of", "in the range between", "within the range of", "in the range from"]),
    (Not, &["not", "neither", "nor", "except", "excluding", "except for", "never", "not in", "not from", "but not", "outside", "outside of", "non", "apart from"]),
    (Without, &["without", "with no", "without any", "have no", "has no", "not have any", "not a single", "not any", "having no", "no", "lacking", "who never", "that never", "with zero", "have not", "without a", "without an"]),
    (Missing, &["missing", "null", "empty", "blank", "unknown", "not set", "unset"]),
    (Is, &["is", "are", "was", "were", "being"]),
    (Named, &["named", "called"]),
    (Cue::Match(Match::Contains), &["contains", "containing", "contain", "includes", "include", "including", "like", "have the substring", "has the substring", "have the letter", "has the letter", "have the word", "has the word", "with the word", "with the letter", "with the substring", "includes the word", "includes word", "include the word", "contains the word", "contain the word", "contains the substring", "contain the substring", "has substring", "have substring", "contains the letter", "contain the letter", "contains the letters"]),
    (Cue::Match(Match::Starts), &["starts with", "starting with", "start with", "started with", "starts with the letter", "starting with the letter", "begins with", "beginning with"]),
    (Cue::Match(Match::Ends), &["ends with", "ending with", "end with", "ending in", "ends in"]),
    (Cue::Both, &["both"]),
    (And, &["and", "as well as", "plus", "and also", "along with", "together with", "combined with", "but"]),
    (Or, &["or", "and or"]),
    (Cue::Grain(Grain::Hour), &["hour", "hourly", "hours"]),
    (Cue::Grain(Grain::Day), &["day", "daily", "days", "date", "dates"]),
    (Cue::Grain(Grain::Week), &["week", "weekly", "weeks"]),
    (Cue::Grain(Grain::Month), &["month", "monthly", "months"]),
    (Cue::Grain(Grain::Quarter), &["quarter", "quarterly", "quarters"]),
    (Cue::Grain(Grain::Year), &["year", "yearly", "years", "annual", "annually"]),
    (Cue::Weekday, &["weekday", "day of week", "day of the week", "weekdays", "days of the week"]),
    (Cue::HourOfDay, &["hour of day", "hour of the day", "time of day"]),
];

/// The most words that a phrase has.
pub(super) const LONGEST_PHRASE: usize = 6;

/// The cue of a phrase, words in lower case, one space between them.
pub(super) fn cue(phrase: &str) -> Option<Cue> {
    static CUES: std::sync::LazyLock<std::collections::HashMap<&'static str, Cue>> = std::sync::LazyLock::new(|| {
        let pairs = PHRASES.iter().flat_map(|(cue, phrases)| phrases.iter().map(move |phrase| (*phrase, *cue)));
        pairs.collect()
    });
    CUES.get(phrase).copied()
}

impl Cue {
    /// A table or column of exactly this name wins over the cue.
    pub(super) fn yields_to_a_name(self) -> bool {
        matches!(self, Noise | Cue::Grain(_) | Edge(_) | Missing | Named | Share | Cue::Match(_) | When)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phrase_has_one_cue_and_is_not_too_long() {
        let mut seen = std::collections::HashSet::new();
        for phrase in PHRASES.iter().flat_map(|(_, phrases)| phrases.iter()) {
            assert!(seen.insert(phrase), "{phrase} stands twice");
            assert!(phrase.split(' ').count() <= LONGEST_PHRASE, "{phrase}");
        }
    }
}
