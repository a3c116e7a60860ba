//! Queries over a world: typed expressions, many of which may raise, in every place where SQL takes one.

use crate::{choices::Choices, reference::Kind, world::World};

/// A column that may be named: `p.score`.
type Scope = Vec<(String, Kind)>;

struct Writer<'a> {
    choices: &'a mut Choices,
    world: &'a World,
    aliases: usize,
}

/// One query. Where it cuts rows off, it orders them totally before.
pub fn query(choices: &mut Choices, world: &World) -> String {
    let mut writer = Writer { choices, world, aliases: 0 };
    let kinds: Vec<Kind> = (0..=writer.choices.below(3)).map(|_| writer.kind()).collect();
    let mut sql = match writer.choices.below(8) {
        0..=4 => writer.select(&kinds, 2),
        5 => {
            let set = *writer.choices.one(&["UNION ALL", "UNION", "EXCEPT", "INTERSECT"]);
            format!("{} {set} {}", writer.select(&kinds, 1), writer.select(&kinds, 1))
        }
        6 => {
            let inner = writer.select(&kinds, 1);
            let names: Vec<_> = (0..kinds.len()).map(|at| format!("c{at}")).collect();
            let scope: Scope = names.iter().map(|name| format!("w.{name}")).zip(kinds.iter().copied()).collect();
            let twice = writer.choices.percent(30);
            let condition = writer.truth(&scope, 1);
            let from = if twice { "w JOIN w AS v ON w.c0 = v.c0" } else { "w" };
            format!("WITH w({}) AS ({inner}) SELECT w.c0 FROM {from} WHERE {condition}", names.join(", "))
        }
        _ => writer.windowed(),
    };
    if writer.choices.percent(25) {
        sql = format!("SELECT * FROM ({sql}) AS q ORDER BY 1");
        for at in 2..=kinds.len() {
            if !sql.starts_with("SELECT * FROM (WITH") && !sql.contains("OVER") {
                sql.push_str(&format!(", {at}"));
            }
        }
        let total = kinds.len() == 1 || (!sql.contains("WITH") && !sql.contains("OVER"));
        if total && writer.choices.percent(60) {
            sql.push_str(&format!(" LIMIT {}", writer.choices.below(4)));
        }
    }
    sql
}

impl Writer<'_> {
    fn kind(&mut self) -> Kind {
        *self.choices.one(&[Kind::Int, Kind::Text, Kind::Int, Kind::Float, Kind::Date])
    }

    fn alias(&mut self) -> String {
        self.aliases += 1;
        format!("t{}", self.aliases)
    }

    /// A table under a new name, and its columns.
    fn table(&mut self) -> (String, Scope) {
        let table = &self.world.tables[self.choices.below(self.world.tables.len())];
        let alias = self.alias();
        let scope = table.visible_columns().into_iter().map(|(name, kind)| (format!("{alias}.{name}"), kind)).collect();
        (format!("{} AS {alias}", table.name), scope)
    }

    fn from(&mut self, depth: usize) -> (String, Scope) {
        match self.choices.below(10) {
            0..=4 => self.table(),
            5..=7 => {
                let (left, mut scope) = self.table();
                let (right, more) = self.table();
                let keys = (self.column(&scope, Kind::Int), self.column(&more, Kind::Int));
                scope.extend(more);
                let join = *self.choices.one(&["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"]);
                let mut on = match keys {
                    (Some(left), Some(right)) if self.choices.percent(80) => format!("{left} = {right}"),
                    _ => self.truth(&scope, 1),
                };
                if self.choices.percent(30) {
                    on = format!("{on} AND {}", self.truth(&scope, 1));
                }
                (format!("{left} {join} {right} ON {on}"), scope)
            }
            8 if depth > 0 => {
                let kinds: Vec<Kind> = (0..2).map(|_| self.kind()).collect();
                let inner = self.select(&kinds, depth - 1);
                let alias = self.alias();
                let scope = vec![(format!("{alias}.a"), kinds[0]), (format!("{alias}.b"), kinds[1])];
                (format!("({inner}) AS {alias}(a, b)"), scope)
            }
            _ => {
                let (left, mut scope) = self.table();
                let (right, more) = self.table();
                scope.extend(more);
                (format!("{left}, {right}"), scope)
            }
        }
    }

    fn select(&mut self, kinds: &[Kind], depth: usize) -> String {
        let (from, scope) = self.from(depth);
        let condition =
            if self.choices.percent(65) { format!(" WHERE {}", self.truth(&scope, depth)) } else { String::new() };
        if self.choices.percent(30) {
            return self.grouped(kinds, &from, &scope, &condition);
        }
        let distinct = if self.choices.percent(10) { "DISTINCT " } else { "" };
        let exprs: Vec<_> = kinds.iter().map(|kind| self.value(*kind, &scope, 2)).collect();
        format!("SELECT {distinct}{} FROM {from}{condition}", exprs.join(", "))
    }

    fn grouped(&mut self, kinds: &[Kind], from: &str, scope: &Scope, condition: &str) -> String {
        let keys: Vec<_> = (0..self.choices.below(2))
            .map(|_| {
                let kind = self.kind();
                (self.value(kind, scope, 1), kind)
            })
            .collect();
        let groups: Scope = keys.clone();
        let exprs: Vec<_> = kinds
            .iter()
            .map(|kind| match groups.iter().find(|(_, of)| of == kind) {
                Some((key, _)) if self.choices.percent(50) => key.clone(),
                _ => self.aggregate(*kind, scope),
            })
            .collect();
        let mut sql = format!("SELECT {} FROM {from}{condition}", exprs.join(", "));
        if !keys.is_empty() {
            let keys: Vec<_> = keys.into_iter().map(|(key, _)| key).collect();
            sql.push_str(&format!(" GROUP BY {}", keys.join(", ")));
        }
        if self.choices.percent(25) {
            let aggregate = self.aggregate(Kind::Int, scope);
            let op = *self.choices.one(&[">", "<=", "<>"]);
            let raising = *self.choices.one(&["", "10 / ", "7 % "]);
            sql.push_str(&format!(" HAVING {raising}{aggregate} {op} {}", self.choices.int(0, 3)));
        }
        sql
    }

    fn aggregate(&mut self, kind: Kind, scope: &Scope) -> String {
        let filter =
            if self.choices.percent(15) { format!(" FILTER (WHERE {})", self.truth(scope, 0)) } else { String::new() };
        let aggregate = match kind {
            Kind::Int => match self.choices.below(5) {
                0 => "count(*)".to_owned(),
                1 => format!("count(DISTINCT {})", self.value(Kind::Text, scope, 1)),
                2 => format!("sum({})", self.value(Kind::Int, scope, 2)),
                3 => format!("max({})", self.value(Kind::Int, scope, 2)),
                _ => format!("count({})", self.value(Kind::Int, scope, 2)),
            },
            Kind::Float => match (self.column(scope, Kind::Float), self.choices.below(2)) {
                (Some(column), 0) => format!("sum({column})"),
                _ => format!("avg({})", self.value(Kind::Int, scope, 1)),
            },
            Kind::Text => format!("min({})", self.value(Kind::Text, scope, 2)),
            Kind::Date => format!("max({})", self.value(Kind::Date, scope, 1)),
        };
        format!("{aggregate}{filter}")
    }

    fn windowed(&mut self) -> String {
        let (from, scope) = self.table();
        let order = self.value(Kind::Int, &scope, 1);
        let partition = self.value(Kind::Text, &scope, 1);
        let argument = self.value(Kind::Int, &scope, 1);
        let condition =
            if self.choices.percent(50) { format!(" WHERE {}", self.truth(&scope, 1)) } else { String::new() };
        let function = match self.choices.below(4) {
            0 => format!("rank() OVER (PARTITION BY {partition} ORDER BY {order})"),
            1 => format!("sum({argument}) OVER (PARTITION BY {partition})"),
            2 => format!("max({argument}) OVER (ORDER BY {order})"),
            _ => format!("count(*) OVER (ORDER BY {order})"),
        };
        let value = self.value(Kind::Text, &scope, 1);
        let sql = format!("SELECT {function} AS w, {value} AS v FROM {from}{condition}");
        if self.choices.percent(40) {
            let outer: Scope = vec![("x.w".to_owned(), Kind::Int), ("x.v".to_owned(), Kind::Text)];
            let condition = self.truth(&outer, 0);
            return format!("SELECT x.w FROM ({sql}) AS x WHERE {condition}");
        }
        sql
    }

    fn column(&mut self, scope: &Scope, kind: Kind) -> Option<String> {
        let fitting: Vec<&String> = scope.iter().filter(|(_, of)| *of == kind).map(|(name, _)| name).collect();
        if fitting.is_empty() { None } else { Some(fitting[self.choices.below(fitting.len())].clone()) }
    }

    fn value(&mut self, kind: Kind, scope: &Scope, depth: usize) -> String {
        let leaf = depth == 0 || self.choices.percent(45);
        if leaf {
            if self.choices.percent(80)
                && let Some(column) = self.column(scope, kind)
            {
                return column;
            }
            return match kind {
                Kind::Int => self.choices.int(0, 5).to_string(),
                Kind::Float => format!("CAST({} AS DOUBLE)", self.choices.int(-1, 3)),
                Kind::Text => format!("'{}'", self.choices.one(&["EU", "1", "x", "b@y.org", ""])),
                Kind::Date => format!("DATE '20{:02}-01-01'", self.choices.int(0, 24)),
            };
        }
        let depth = depth - 1;
        match kind {
            Kind::Int => match self.choices.below(12) {
                0 => format!("({} + {})", self.value(kind, scope, depth), self.value(kind, scope, depth)),
                1 | 2 => format!("({} / {})", self.value(kind, scope, depth), self.value(kind, scope, depth)),
                3 => format!("({} % {})", self.value(kind, scope, depth), self.value(kind, scope, depth)),
                4 | 5 => format!("CAST({} AS BIGINT)", self.value(Kind::Text, scope, depth)),
                6 => format!("length({})", self.value(Kind::Text, scope, depth)),
                7 => format!(
                    "CASE WHEN {} THEN {} ELSE {} END",
                    self.truth(scope, 0),
                    self.value(kind, scope, depth),
                    self.value(kind, scope, depth)
                ),
                8 => format!("coalesce({}, {})", self.value(kind, scope, depth), self.value(kind, scope, depth)),
                9 => format!("({} * {})", self.value(kind, scope, depth), self.value(kind, scope, depth)),
                10 => format!("CAST(date_part('year', {}) AS BIGINT)", self.value(Kind::Date, scope, depth)),
                _ => {
                    let (from, inner) = self.table();
                    let aggregate = self.aggregate(Kind::Int, &inner);
                    format!("(SELECT {aggregate} FROM {from})")
                }
            },
            Kind::Float => match self.choices.below(3) {
                0 => format!("CAST({} AS DOUBLE)", self.value(Kind::Int, scope, depth)),
                1 => format!("({} / {})", self.value(kind, scope, depth), self.value(kind, scope, depth)),
                _ => format!("({} - {})", self.value(kind, scope, depth), self.value(kind, scope, depth)),
            },
            Kind::Text => match self.choices.below(6) {
                0 => format!("upper({})", self.value(kind, scope, depth)),
                1 => format!("concat({}, {})", self.value(kind, scope, depth), self.value(kind, scope, depth)),
                2 => format!("CAST({} AS VARCHAR)", self.value(Kind::Int, scope, depth)),
                3 => format!("substr({}, 2)", self.value(kind, scope, depth)),
                4 => format!("split_part({}, '@', {})", self.value(kind, scope, depth), self.choices.int(1, 2)),
                _ => format!("nullif({}, {})", self.value(kind, scope, depth), self.value(kind, scope, depth)),
            },
            Kind::Date => match self.choices.below(2) {
                0 => format!("coalesce({}, {})", self.value(kind, scope, depth), self.value(kind, scope, depth)),
                _ => format!("CAST(concat('20', {}, '-01-02') AS DATE)", self.value(Kind::Text, scope, 0)),
            },
        }
    }

    fn truth(&mut self, scope: &Scope, depth: usize) -> String {
        match self.choices.below(if depth == 0 { 8 } else { 14 }) {
            0 | 1 => {
                let kind = self.kind();
                let op = *self.choices.one(&["=", "<>", "<", ">=", ">", "<="]);
                format!("{} {op} {}", self.value(kind, scope, 1), self.value(kind, scope, 1))
            }
            2 => {
                let op = *self.choices.one(&["=", ">", "<>"]);
                format!("{} {op} {}", self.value(Kind::Int, scope, 2), self.choices.int(0, 4))
            }
            3 => {
                let not = if self.choices.percent(30) { "NOT " } else { "" };
                let pattern = *self.choices.one(&["%", "E%", "_", "%@%", "%1%"]);
                format!("{} {not}LIKE '{pattern}'", self.value(Kind::Text, scope, 1))
            }
            4 => {
                let kind = self.kind();
                let not = if self.choices.percent(50) { "NOT " } else { "" };
                format!("{} IS {not}NULL", self.value(kind, scope, 1))
            }
            5 => {
                let not = if self.choices.percent(30) { "NOT " } else { "" };
                format!("{} {not}IN (1, 2, {})", self.value(Kind::Int, scope, 1), self.choices.int(0, 9))
            }
            6 => format!("{} BETWEEN 0 AND {}", self.value(Kind::Int, scope, 1), self.choices.int(0, 9)),
            7 => {
                let op = *self.choices.one(&["=", "<"]);
                format!("CAST({} AS BIGINT) {op} {}", self.value(Kind::Text, scope, 0), self.choices.int(0, 40))
            }
            8 | 9 => format!("({} AND {})", self.truth(scope, depth - 1), self.truth(scope, depth - 1)),
            10 => format!("({} OR {})", self.truth(scope, depth - 1), self.truth(scope, depth - 1)),
            11 => format!("NOT ({})", self.truth(scope, depth - 1)),
            12 => {
                let (from, inner) = self.table();
                let not = if self.choices.percent(30) { "NOT " } else { "" };
                let outer = self.column(scope, Kind::Int).unwrap_or_else(|| "1".to_owned());
                let key = self.column(&inner, Kind::Int).unwrap_or_else(|| "1".to_owned());
                let more =
                    if self.choices.percent(60) { format!(" AND {}", self.truth(&inner, 0)) } else { String::new() };
                if self.choices.percent(50) {
                    format!("{not}EXISTS (SELECT 1 FROM {from} WHERE {key} = {outer}{more})")
                } else {
                    let value = self.value(Kind::Int, &inner, 1);
                    format!("{outer} {not}IN (SELECT {value} FROM {from} WHERE {key} > 0{more})")
                }
            }
            _ => {
                let (from, inner) = self.table();
                let outer = self.column(scope, Kind::Int).unwrap_or_else(|| "1".to_owned());
                let key = self.column(&inner, Kind::Int).unwrap_or_else(|| "1".to_owned());
                let aggregate = self.aggregate(Kind::Int, &inner);
                let op = *self.choices.one(&[">", "=", "<"]);
                let value = self.value(Kind::Int, scope, 0);
                format!("(SELECT {aggregate} FROM {from} WHERE {key} = {outer}) {op} {value}")
            }
        }
    }
}
