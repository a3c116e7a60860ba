//! Words and their kinships: singular and plural, inflected verbs, synonyms, the parts of names.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

/// Words that business people use for one another. The first of a group has no special rank.
const SYNONYMS: &[&[&str]] = &[
    &["customer", "client", "buyer", "shopper", "purchaser"],
    &["employee", "staff", "worker", "colleague", "people", "person", "personnel"],
    &["user", "visitor", "member"],
    &["product", "item", "article", "good", "sku"],
    &["order", "purchase", "sale", "transaction", "bought", "buy", "sold", "sell"],
    &[
        "amount", "revenue", "sale", "turnover", "income", "spent", "spend", "spending", "total", "gmv", "value",
        "proceeds", "earning", "money",
    ],
    &["price", "cost", "expensive", "cheap"],
    &["salary", "pay", "wage", "compensation", "remuneration", "earn", "earning"],
    &["department", "dept", "team", "division"],
    &["region", "area", "territory", "zone"],
    &["country", "nation"],
    &["city", "town"],
    &["category", "type", "kind", "class"],
    &["status", "state"],
    &["phone", "telephone", "mobile"],
    &["email", "mail"],
    &["quantity", "qty", "unit", "piece"],
    &["hired", "joined", "started", "hire"],
    &["signed", "registered", "joined", "enrolled", "created"],
    &["page", "url", "path"],
    &["session", "visit"],
    &["duration", "length"],
    &["event", "activity"],
    &["device", "platform"],
    &["title", "position", "role", "job"],
    &["manager", "boss", "supervisor"],
    &["occurred", "happened"],
    &["birth", "born"],
    &["age", "aged"],
    &["weight", "weigh"],
    &["sex", "gender"],
    &["shop", "store"],
    &["movie", "film"],
    &["company", "firm", "corporation", "manufacturer"],
    &["doctor", "physician"],
    &["car", "vehicle", "automobile"],
    &["author", "writer"],
    &["elevation", "altitude"],
    &["photo", "picture"],
    &["nationality", "citizenship", "citizen", "nation"],
    &["pet", "animal"],
    &["percent", "percentage"],
    &["population", "inhabitant", "resident", "people", "populated", "populous"],
];

/// Who and what comes from a country, where its name does not tell.
const OF_COUNTRIES: &[(&str, &str)] = &[
    ("french", "france"),
    ("german", "germany"),
    ("spanish", "spain"),
    ("italian", "italy"),
    ("dutch", "netherlands"),
    ("greek", "greece"),
    ("swiss", "switzerland"),
    ("swedish", "sweden"),
    ("danish", "denmark"),
    ("polish", "poland"),
    ("turkish", "turkey"),
    ("irish", "ireland"),
    ("scottish", "scotland"),
    ("english", "england"),
    ("welsh", "wales"),
    ("chinese", "china"),
    ("japanese", "japan"),
    ("brazilian", "brazil"),
    ("canadian", "canada"),
    ("norwegian", "norway"),
    ("finnish", "finland"),
    ("portuguese", "portugal"),
    ("mexican", "mexico"),
    ("egyptian", "egypt"),
    ("hungarian", "hungary"),
];

/// The word tells that something is of the country.
pub(super) fn is_of_country(word: &str, country: &str) -> bool {
    OF_COUNTRIES.iter().any(|(of, known)| word == *of && country == *known)
}

/// What names of columns and tables are short for.
const SHORT: &[(&str, &[&str])] = &[
    ("fname", &["first", "name"]),
    ("forename", &["first", "name"]),
    ("lname", &["last", "name"]),
    ("surname", &["last", "name"]),
    ("dob", &["date", "of", "birth"]),
    ("dept", &["department"]),
    ("emp", &["employee"]),
    ("cust", &["customer"]),
    ("prof", &["professor"]),
    ("stu", &["student"]),
    ("crs", &["course"]),
    ("apt", &["apartment"]),
    ("num", &["number"]),
    ("qty", &["quantity"]),
    ("amt", &["amount"]),
    ("desc", &["description"]),
    ("addr", &["address"]),
    ("lat", &["latitude"]),
    ("long", &["longitude"]),
    ("lng", &["longitude"]),
    ("pct", &["percent"]),
    ("acct", &["account"]),
    ("org", &["organization"]),
];

/// The words of a name with those that are short for others spelled out; `None` where none is.
pub(super) fn spelled_out(name_words: &[String]) -> Option<Vec<String>> {
    let long = |word: &String| SHORT.iter().find(|(short, _)| word == short).map(|(_, long)| *long);
    name_words.iter().any(|word| long(word).is_some()).then(|| {
        let spell = |word: &String| match long(word) {
            Some(long) => long.iter().map(|word| (*word).to_owned()).collect(),
            None => vec![word.clone()],
        };
        name_words.iter().flat_map(spell).collect()
    })
}

/// Verbs that tie two things together, and those of their forms that have another root.
const RELATIONS: &str = "\
    hold held teach taught speak spoken spoke write written wrote win won own offer produce contain provide \
    direct enroll register participate attend publish assign supply involve include treat perform play sing sung \
    sang compose receive open manage supervise advise review rate visit study studied release employ operate \
    serve host organize sponsor nominate grant process deliver store run ran drive driven drove build built made \
    sold bought owned lead led feature award prescribe edit design create conduct conferred confer submit cover \
    repair rent book stock appear compete train act affect report coach use purchase share interact travel \
    fly flew flown reach participate belong sell containing own possess associate relate link connect \
    undergo underwent undergone went through handle reserve borrow lend hire employ supply fund \
    found establish attend visit require";

/// The word, in the singular, tells in a column's name that it is when somebody was born.
pub(super) fn is_birth(word: &str) -> bool {
    matches!(word, "birth" | "birthday" | "birthdate" | "born" | "dob")
}

/// The word says of two things that they belong together, and not how they compare or which way it goes.
pub(super) fn is_relation(word: &str) -> bool {
    static ROOTS: LazyLock<HashSet<String>> = LazyLock::new(|| RELATIONS.split_whitespace().map(root).collect());
    ROOTS.contains(&root(word))
}

/// How things come to be: with a time behind it, it is the time of the thing.
const ORIGINS: &str = "found open release build produce create launch establish publish introduce start begin began built register \
    hold held play happen occur air broadcast join perform register";

/// The verb tells of a thing's beginning.
pub(super) fn is_origin(word: &str) -> bool {
    ORIGINS.split_whitespace().any(|known| root(known) == root(word))
}

/// Relations that say nothing of a state, in no form: students *enrolled*, ships *involved*.
const MEMBERSHIPS: &str = "enroll involve participate associate relate correspond attend belong";

/// The verb only tells that things belong together, whatever its form.
pub(super) fn is_membership(word: &str) -> bool {
    MEMBERSHIPS.split_whitespace().any(|known| root(known) == root(word))
}

/// "arrival" of what arrived, "settlement" of what was settled, "departure" of what departed.
pub(super) fn is_deed(noun: &str, verb: &str) -> bool {
    let done = |word: &str| word.strip_suffix("ed").map(str::to_owned).filter(|stem| stem.chars().count() > 3);
    let named = |word: &str| {
        let stem = ["al", "ure", "ment", "ion"].iter().find_map(|suffix| word.strip_suffix(suffix))?;
        (stem.chars().count() > 3).then(|| stem.trim_end_matches('e').to_owned())
    };
    done(verb).is_some_and(|stem| named(noun).is_some_and(|named| named == stem))
}

/// Words that name a sum by themselves: "revenue by region" is the total of it.
const SUMMED: &[&str] =
    &["revenue", "sale", "turnover", "income", "spent", "spend", "spending", "gmv", "proceeds", "earning"];

/// Measures that may be added up over rows; others (prices, salaries, rates) are averaged.
const ADDITIVE: &[&str] = &[
    "amount",
    "total",
    "revenue",
    "sale",
    "turnover",
    "quantity",
    "qty",
    "unit",
    "count",
    "value",
    "cost",
    "profit",
    "spend",
    "income",
    "volume",
    "hour",
    "minute",
    "second",
    "duration",
    "day",
    "view",
    "click",
    "byte",
    "population",
];

/// Measures by which a row of its table is "big", the best first.
const WEIGHT: &[&str] = &["amount", "total", "revenue", "value", "sale", "price", "cost"];

/// Numbers that are worth asking about, the best first.
const TELLING: &[&str] =
    &["amount", "total", "revenue", "value", "sale", "price", "cost", "salary", "duration", "quantity", "day"];

static GROUPS: LazyLock<HashMap<&'static str, Vec<usize>>> = LazyLock::new(|| {
    let mut groups: HashMap<&'static str, Vec<usize>> = HashMap::new();
    for (index, words) in SYNONYMS.iter().enumerate() {
        for word in *words {
            groups.entry(word).or_default().push(index);
        }
    }
    groups
});

/// The two words mean about the same. Both are given in the singular.
pub(super) fn are_synonyms(one: &str, other: &str) -> bool {
    match (GROUPS.get(one), GROUPS.get(other)) {
        (Some(one), Some(other)) => one.iter().any(|group| other.contains(group)),
        _ => false,
    }
}

/// Every word that is a synonym of another.
pub(super) fn with_synonyms() -> impl Iterator<Item = &'static str> {
    SYNONYMS.iter().flat_map(|words| words.iter().copied())
}

/// The word, in the singular, names a sum by itself.
pub(super) fn is_summed(singular: &str) -> bool {
    SUMMED.contains(&singular)
}

/// A column with these name words may be added up over rows.
pub(super) fn is_additive(name_words: &[String]) -> bool {
    let per_piece = name_words.iter().any(|word| word == "unit" || word == "per" || word == "rate");
    let additive = name_words.iter().any(|word| ADDITIVE.contains(&word.as_str()));
    additive && !(per_piece && name_words.len() > 1)
}

/// How well a column with these name words tells the size of a row: lower is better.
pub(super) fn weight_rank(name_words: &[String]) -> Option<usize> {
    rank(WEIGHT, name_words)
}

/// How well a column with these name words serves as an example: lower is better.
pub(super) fn telling_rank(name_words: &[String]) -> Option<usize> {
    rank(TELLING, name_words)
}

fn rank(best_first: &[&str], name_words: &[String]) -> Option<usize> {
    best_first.iter().position(|known| name_words.iter().any(|word| word == known))
}

/// The plural of an English noun.
pub(super) fn plural(word: &str) -> String {
    if !word.is_ascii() || word.ends_with("people") || singular(word) != word || word.ends_with("ss") {
        return word.to_owned();
    }
    match word.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'o', 'u']) => format!("{stem}ies"),
        _ if word.ends_with(['s', 'x', 'z']) || word.ends_with("sh") || word.ends_with("ch") => format!("{word}es"),
        _ => format!("{word}s"),
    }
}

/// The singular of an English noun in lower case; other words come back as they are.
pub(super) fn singular(word: &str) -> String {
    match word {
        "people" | "series" => return word.to_owned(),
        "men" => return "man".to_owned(),
        "women" => return "woman".to_owned(),
        "children" => return "child".to_owned(),
        "addresses" => return "address".to_owned(),
        "statuses" => return "status".to_owned(),
        "movies" => return "movie".to_owned(),
        _ => {}
    }
    let stem = |suffix: &str| word.strip_suffix(suffix).filter(|stem| stem.chars().count() >= 2);
    if let Some(stem) = stem("ies").filter(|stem| stem.chars().count() >= 3) {
        return format!("{stem}y");
    }
    for ending in ["sses", "shes", "ches", "xes", "zes"] {
        if word.ends_with(ending) {
            return word[..word.len() - 2].to_owned();
        }
    }
    if word.ends_with("ss") || word.ends_with("us") || word.ends_with("is") {
        return word.to_owned();
    }
    match stem("s") {
        Some(stem) => stem.to_owned(),
        None => word.to_owned(),
    }
}

/// What is left of a verb or noun without its endings, to compare inflected forms:
/// "ordered" and "orders", "hired" and "hire", "cancelled" and "canceled" have equal roots.
pub(in crate::planner) fn root(word: &str) -> String {
    let mut root = singular(word);
    for ending in ["ing", "ed"] {
        if let Some(stem) = root.strip_suffix(ending)
            && stem.chars().count() >= 3
            && stem.chars().any(|c| "aeiouy".contains(c))
        {
            root = stem.to_owned();
            break;
        }
    }
    if root.chars().count() > 3
        && let Some(stem) = root.strip_suffix('e')
    {
        root = stem.to_owned();
    }
    let mut last_two = root.chars().rev();
    if root.chars().count() > 3
        && let (Some(last), Some(before)) = (last_two.next(), last_two.next())
        && last == before
        && !"aeiou".contains(last)
    {
        root.pop();
    }
    root
}

/// The words of a name, in lower case and as written: `signedUpOn`, `signed_up_on` and
/// `Signed-Up on` are all `signed`, `up`, `on`.
pub(in crate::planner) fn name_words(name: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut before: Option<char> = None;
    for c in name.chars() {
        if !c.is_alphanumeric() {
            words.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
        } else {
            if c.is_uppercase() && before.is_some_and(char::is_lowercase) {
                words.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
            }
            word.extend(c.to_lowercase());
        }
        before = Some(c);
    }
    words.extend((!word.is_empty()).then_some(word));
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plurals_become_singular() {
        for (plural, expected) in [
            ("orders", "order"),
            ("categories", "category"),
            ("addresses", "address"),
            ("status", "status"),
            ("boxes", "box"),
            ("sales", "sale"),
            ("bus", "bus"),
            ("s", "s"),
            ("ies", "ie"),
        ] {
            assert_eq!(singular(plural), expected, "{plural}");
        }
    }

    #[test]
    fn inflected_forms_share_a_root() {
        for (one, other) in [
            ("ordered", "orders"),
            ("hired", "hire"),
            ("cancelled", "canceled"),
            ("shipping", "shipped"),
            ("created", "creates"),
        ] {
            assert_eq!(root(one), root(other), "{one} {other}");
        }
        assert_ne!(root("red"), root("r"));
    }

    #[test]
    fn names_are_split_in_every_spelling() {
        for name in ["signed_up_on", "signedUpOn", "Signed-Up on", "_signed__up_on_"] {
            assert_eq!(name_words(name), ["signed", "up", "on"], "{name}");
        }
        assert_eq!(name_words("ID"), ["id"]);
        assert!(name_words("___").is_empty());
    }

    #[test]
    fn synonyms_are_symmetric() {
        assert!(are_synonyms("client", "customer") && are_synonyms("customer", "client"));
        assert!(!are_synonyms("client", "order"));
        assert!(are_synonyms("sale", "order") && are_synonyms("sale", "amount"));
    }
}
