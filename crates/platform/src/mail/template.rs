//! The one look of all mails: a title, some paragraphs, perhaps a table and a button, a footer. From it come
//! a plain text and an HTML part that say the same.
//!
//! The HTML has its styles inline (many readers drop the rest), no pictures and no tracking, and follows
//! the reader's light or dark colours.

use super::Mail;

/// A button.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    pub label: String,
    pub url: String,
}

/// A few rows, as plain text in every cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

/// What a mail says, as plain text in every field.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MailTemplate {
    pub title: String,
    pub paragraphs: Vec<String>,
    pub table: Option<Table>,
    pub action: Option<Action>,
    /// Why one gets this mail, and what to do when it was not oneself.
    pub footer: String,
}

impl MailTemplate {
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), ..Self::default() }
    }

    /// One to a person, whom it greets by name.
    pub fn greeting(title: impl Into<String>, name: &str) -> Self {
        Self::new(title).paragraph(format!("Hello {name},"))
    }

    pub fn paragraph(mut self, text: impl Into<String>) -> Self {
        self.paragraphs.push(text.into());
        self
    }

    pub fn table(mut self, table: Table) -> Self {
        self.table = Some(table);
        self
    }

    pub fn action(mut self, label: impl Into<String>, url: impl Into<String>) -> Self {
        self.action = Some(Action { label: label.into(), url: url.into() });
        self
    }

    pub fn footer(mut self, text: impl Into<String>) -> Self {
        self.footer = text.into();
        self
    }

    /// The mail, with the title as its subject.
    pub fn into_mail(self, kind: impl Into<String>, to: impl Into<String>) -> Mail {
        Mail { to: to.into(), text: self.text(), html: self.html(), subject: self.title, kind: kind.into() }
    }

    /// The plain text part.
    pub fn text(&self) -> String {
        let mut parts = vec![self.title.clone()];
        parts.extend(self.paragraphs.iter().cloned());
        if let Some(table) = &self.table {
            let lines = std::iter::once(&table.columns).chain(&table.rows).map(|cells| cells.join(" | "));
            parts.push(lines.collect::<Vec<_>>().join("\n"));
        }
        if let Some(action) = &self.action {
            parts.push(format!("{}:\n{}", action.label, action.url));
        }
        if !self.footer.is_empty() {
            parts.push(format!("-- \n{}", self.footer));
        }
        parts.join("\n\n") + "\n"
    }

    /// The HTML part.
    pub fn html(&self) -> String {
        let title = escape(&self.title);
        let paragraphs: String = self
            .paragraphs
            .iter()
            .map(|text| format!("<p style=\"margin:0 0 16px;\">{}</p>\n", escape(text)))
            .collect();
        let table = self.table.as_ref().map(in_cells).unwrap_or_default();
        let action = self.action.as_ref().map(button).unwrap_or_default();
        let footer = match self.footer.as_str() {
            "" => String::new(),
            text => format!(
                "<p style=\"margin:32px 0 0;padding-top:16px;border-top:1px solid #8884;font-size:13px;opacity:.7;\">{}</p>\n",
                escape(text)
            ),
        };
        format!(
            "<!doctype html>\n\
             <html lang=\"en\">\n\
             <head>\n\
             <meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <meta name=\"supported-color-schemes\" content=\"light dark\">\n\
             <title>{title}</title>\n\
             </head>\n\
             <body style=\"margin:0;padding:32px 16px;font:16px/1.5 system-ui,-apple-system,'Segoe UI',sans-serif;\">\n\
             <div style=\"max-width:560px;margin:0 auto;\">\n\
             <h1 style=\"margin:0 0 24px;font-size:22px;line-height:1.3;\">{title}</h1>\n\
             {paragraphs}{table}{action}{footer}</div>\n\
             </body>\n\
             </html>\n"
        )
    }
}

fn in_cells(table: &Table) -> String {
    let row = |cells: &Vec<String>, kind: &str| {
        let cell = |text: &String| {
            format!("<{kind} style=\"padding:4px 12px 4px 0;text-align:left;\">{}</{kind}>", escape(text))
        };
        format!("<tr>{}</tr>\n", cells.iter().map(cell).collect::<String>())
    };
    let rows: String = table.rows.iter().map(|cells| row(cells, "td")).collect();
    format!(
        "<table style=\"margin:0 0 16px;border-collapse:collapse;\">\n{}{rows}</table>\n",
        row(&table.columns, "th")
    )
}

/// A link that looks like a button, and the address below it for readers that show none. Only web
/// addresses become links.
fn button(action: &Action) -> String {
    let url = escape(&action.url);
    let label = escape(&action.label);
    if !(action.url.starts_with("https://") || action.url.starts_with("http://")) {
        return format!("<p style=\"margin:0 0 16px;\">{label}: {url}</p>\n");
    }
    format!(
        "<p style=\"margin:24px 0;\"><a href=\"{url}\" style=\"display:inline-block;padding:12px 24px;border-radius:6px;\
         background:#1d4ed8;color:#ffffff;text-decoration:none;font-weight:600;\">{label}</a></p>\n\
         <p style=\"margin:0 0 16px;font-size:13px;opacity:.7;word-break:break-all;\">{url}</p>\n"
    )
}

/// Text as HTML, in elements and in quoted attributes.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_stays_text() {
        let template = MailTemplate::new("Join <b>Acme</b>")
            .paragraph("\"Eve\" & 'co' <script>alert(1)</script>")
            .action("Go", "https://example.com/?a=1&b=\"><script>");
        let html = template.html();
        assert!(!html.contains("<script>") && !html.contains("<b>"));
        assert!(html.contains("Join &lt;b&gt;Acme&lt;/b&gt;"));
        assert!(html.contains("href=\"https://example.com/?a=1&amp;b=&quot;&gt;&lt;script&gt;\""));
        assert!(template.text().contains("<script>alert(1)</script>"), "plain text is not escaped");
    }

    #[test]
    fn a_table_is_in_both_parts() {
        let rows = vec![vec!["<EU>".to_owned(), "4".to_owned()]];
        let template = MailTemplate::new("x").table(Table { columns: vec!["region".into(), "n".into()], rows });
        assert!(template.text().contains("region | n\n<EU> | 4"), "{}", template.text());
        assert!(template.html().contains(">&lt;EU&gt;</td>"), "{}", template.html());
    }

    #[test]
    fn only_web_addresses_become_links() {
        assert!(!MailTemplate::new("x").action("Go", "javascript:alert(1)").html().contains("href"));
    }
}
