// The SQL editor: CodeMirror, which completes the tables and columns that the person may see.

import { type CompletionContext, autocompletion, closeBrackets, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { PostgreSQL, sql } from "@codemirror/lang-sql";
import { HighlightStyle, bracketMatching, syntaxHighlighting } from "@codemirror/language";
import { Compartment, EditorState, Prec } from "@codemirror/state";
import { EditorView, keymap, placeholder } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { useEffect, useRef } from "react";

const look = EditorView.theme({
    "&": { fontSize: "14px", color: "var(--ink)" },
    ".cm-content": { fontFamily: "var(--mono)", padding: "14px 16px", caretColor: "var(--ink)", minHeight: "92px" },
    ".cm-cursor": { borderLeftColor: "var(--ink)" },
    "&.cm-focused .cm-selectionBackground, .cm-selectionBackground": {
        background: "color-mix(in srgb, var(--accent) 24%, transparent) !important",
    },
    ".cm-tooltip": {
        background: "var(--surface)",
        border: "1px solid var(--line)",
        borderRadius: "8px",
        boxShadow: "var(--shadow-high)",
        color: "var(--ink)",
    },
    // As its base theme writes them, which would win otherwise.
    ".cm-tooltip.cm-tooltip-autocomplete > ul": { fontFamily: "var(--mono)", padding: "4px", maxHeight: "15em" },
    ".cm-tooltip.cm-tooltip-autocomplete > ul > li": { padding: "4px 8px", borderRadius: "6px" },
    ".cm-tooltip.cm-tooltip-autocomplete > ul > li[aria-selected]": {
        background: "var(--accent-soft)",
        color: "var(--ink)",
    },
    ".cm-completionDetail": { color: "var(--faint)", fontStyle: "normal", marginLeft: "12px" },
    ".cm-placeholder": { color: "var(--faint)" },
    ".cm-matchingBracket": { background: "var(--accent-soft) !important" },
});
const colours = HighlightStyle.define([
    { tag: tags.keyword, color: "var(--accent)", fontWeight: "600" },
    { tag: [tags.string, tags.special(tags.string)], color: "var(--good)" },
    { tag: tags.number, color: "var(--warn)" },
    { tag: tags.comment, color: "var(--faint)", fontStyle: "italic" },
    { tag: tags.typeName, color: "var(--accent)" },
]);

export type Completions = Record<string, string[]>;

/** SQL with the tables after FROM, and the columns of those tables that the statement speaks of wherever one can stand. */
function governed(completions: Completions) {
    const columns = (context: CompletionContext) => {
        const word = context.matchBefore(/\w+/);
        if (!word || context.state.sliceDoc(word.from - 1, word.from) === ".") return null;
        const text = context.state.doc.toString().toLowerCase();
        const tables = Object.entries(completions).filter(([table]) => text.includes(table.toLowerCase()));
        return {
            from: word.from,
            options: tables.flatMap(([table, names]) =>
                names.map((label) => ({ label, type: "property", detail: table, boost: 20 })),
            ),
            validFor: /^\w*$/,
        };
    };
    return [
        sql({ dialect: PostgreSQL, schema: completions, upperCaseKeywords: true }),
        PostgreSQL.language.data.of({ autocomplete: columns }),
    ];
}

export default function Editor({
    value,
    onValue,
    onRun,
    completions,
    label,
}: {
    value: string;
    onValue: (value: string) => void;
    onRun: () => void;
    completions: Completions;
    label: string;
}) {
    const place = useRef<HTMLDivElement>(null);
    const view = useRef<EditorView>(undefined);
    const language = useRef(new Compartment());
    const latest = useRef({ onValue, onRun });
    latest.current = { onValue, onRun };

    useEffect(() => {
        if (!place.current) return;
        const nonce = document.querySelector<HTMLMetaElement>('meta[property="csp-nonce"]')?.nonce ?? "";
        const editor = new EditorView({
            parent: place.current,
            state: EditorState.create({
                doc: value,
                extensions: [
                    EditorView.cspNonce.of(nonce),
                    Prec.highest(
                        keymap.of([
                            {
                                key: "Mod-Enter",
                                run: () => {
                                    latest.current.onRun();
                                    return true;
                                },
                            },
                        ]),
                    ),
                    keymap.of([...completionKeymap, ...historyKeymap, ...defaultKeymap]),
                    history(),
                    closeBrackets(),
                    bracketMatching(),
                    autocompletion({ icons: false }),
                    language.current.of(governed(completions)),
                    syntaxHighlighting(colours),
                    look,
                    EditorView.lineWrapping,
                    placeholder("SELECT …"),
                    EditorView.contentAttributes.of({ "aria-label": label }),
                    EditorView.updateListener.of(
                        (update) => update.docChanged && latest.current.onValue(update.state.doc.toString()),
                    ),
                ],
            }),
        });
        view.current = editor;
        return () => editor.destroy();
        // The editor is made once; what changes is handed in below.
    }, []);
    useEffect(() => {
        const editor = view.current;
        if (editor && editor.state.doc.toString() !== value)
            editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: value } });
    }, [value]);
    useEffect(
        () => view.current?.dispatch({ effects: language.current.reconfigure(governed(completions)) }),
        [completions],
    );
    return <div className="editor" ref={place} />;
}
