// The command palette: everything that can be reached, by a few letters of its name. Ctrl K, or ⌘ K.

import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { Bookmark, Database, LogOut, MessageSquareText, Moon, ShieldCheck, SunMedium, UserRound } from "lucide-react";
import { type ReactNode, useState } from "react";
import {
    Autocomplete,
    Dialog,
    Input,
    Menu,
    MenuItem,
    Modal,
    ModalOverlay,
    TextField,
    useFilter,
} from "react-aria-components";
import { api, read } from "../api/client";
import { useMay } from "../standing";
import { documents, groups, others } from "./places";
import { signOut } from "./person";
import { toggleTheme } from "./theme";

type Command = { id: string; label: string; where?: string; words?: string; icon: ReactNode; run: () => void };

export function Palette({ onClose }: { onClose: () => void }) {
    const navigate = useNavigate();
    const may = useMay();
    const { contains } = useFilter({ sensitivity: "base" });
    const [typed, setTyped] = useState("");
    const wanted = typed.trim();
    const go = (href: string) => () => void navigate({ href });

    // Things of one's own, found by the server.
    const sources = useQuery({
        queryKey: ["palette", "sources", wanted],
        enabled: wanted.length > 1 && may("datasource.read"),
        queryFn: () => read(api.GET("/api/v1/data-sources", { params: { query: { search: wanted, page_size: 5 } } })),
    });
    const policies = useQuery({
        queryKey: ["palette", "policies", wanted],
        enabled: wanted.length > 1 && may("policy.read"),
        queryFn: () => read(api.GET("/api/v1/policies", { params: { query: { search: wanted, page_size: 5 } } })),
    });
    const questions = useQuery({
        queryKey: ["palette", "questions", wanted],
        enabled: wanted.length > 1 && may("prompt.read"),
        queryFn: () => read(api.GET("/api/v1/prompts", { params: { query: { search: wanted, page_size: 5 } } })),
    });
    const people = useQuery({
        queryKey: ["palette", "people", wanted],
        enabled: wanted.length > 1 && may("member.read"),
        queryFn: () => read(api.GET("/api/v1/users", { params: { query: { search: wanted, limit: 5 } } })),
    });

    const places: Command[] = [
        ...groups.flatMap((group) => group.places.map((place) => ({ place, where: group.title }))),
        ...others.map((place) => ({ place, where: undefined })),
    ]
        .filter(({ place }) => !place.needs || may(place.needs))
        .map(({ place, where }) => ({
            id: place.path,
            label: place.label,
            where,
            words: place.words,
            icon: <place.icon size={16} />,
            run: go(place.path),
        }));
    const commands: Command[] = [
        ...places,
        ...documents.map((place) => ({
            id: place.path,
            label: place.label,
            words: place.words,
            icon: <place.icon size={16} />,
            run: () => void window.open(place.path, "_blank"),
        })),
        {
            id: "theme",
            label: "Toggle dark mode",
            words: "theme appearance",
            icon: document.documentElement.dataset.theme === "dark" ? <SunMedium size={16} /> : <Moon size={16} />,
            run: toggleTheme,
        },
        { id: "out", label: "Sign out", words: "logout leave", icon: <LogOut size={16} />, run: () => void signOut() },
    ];
    const found: Command[] = [
        ...(sources.data?.items ?? []).map((source) => ({
            id: `s${source.id}`,
            label: source.name,
            where: "Source",
            icon: <Database size={16} />,
            run: go(`/sources/${source.id}`),
        })),
        ...(policies.data?.items ?? []).map((policy) => ({
            id: `p${policy.id}`,
            label: policy.name,
            where: "Policy",
            icon: <ShieldCheck size={16} />,
            run: go(`/policies/${policy.id}`),
        })),
        ...(questions.data?.items ?? []).map((question) => ({
            id: `q${question.id}`,
            label: question.name ?? question.prompt_text,
            words: question.prompt_text,
            where: "Question",
            icon: <Bookmark size={16} />,
            run: go(`/questions/${question.id}`),
        })),
        ...(people.data?.users ?? []).map((person) => ({
            id: `u${person.id}`,
            label: person.display_name || person.email,
            words: person.email,
            where: "Person",
            icon: <UserRound size={16} />,
            run: go(`/people/${person.id}`),
        })),
    ];
    const question: Command[] =
        wanted.length > 3
            ? [
                  {
                      id: "ask",
                      label: `Ask: ${wanted}`,
                      words: wanted,
                      icon: <MessageSquareText size={16} />,
                      run: () => void navigate({ to: "/ask", search: { q: wanted } }),
                  },
              ]
            : [];
    const fits = (text: string, part: string) => part.split(/\s+/).every((word) => contains(text, word));
    // What is called so stands before what only has to do with it.
    const rank = (command: Command) =>
        contains(command.label, wanted) ? (command.label.toLowerCase().startsWith(wanted.toLowerCase()) ? 0 : 1) : 2;
    const fitting = commands.filter((command) =>
        fits(`${command.label} ${command.where ?? ""} ${command.words ?? ""}`, wanted),
    );
    const shown = [...fitting.toSorted((a, b) => rank(a) - rank(b)), ...found, ...question];

    return (
        <ModalOverlay isOpen isDismissable onOpenChange={(open) => !open && onClose()} className="scrim top">
            <Modal className="dialog palette">
                <Dialog aria-label="Go to">
                    <Autocomplete inputValue={typed} onInputChange={setTyped}>
                        <TextField aria-label="Search everything" autoFocus>
                            <Input placeholder="Search or ask…" type="text" />
                        </TextField>
                        <Menu
                            className="menu"
                            items={shown}
                            aria-label="Results"
                            renderEmptyState={() => <p className="empty">No results</p>}
                            onAction={(key) => {
                                onClose();
                                shown.find((command) => command.id === key)?.run();
                            }}
                        >
                            {(command) => (
                                <MenuItem id={command.id} textValue={`${command.label} ${command.words ?? ""}`}>
                                    {command.icon}
                                    {command.label}
                                    <span className="where">{command.where}</span>
                                </MenuItem>
                            )}
                        </Menu>
                    </Autocomplete>
                </Dialog>
            </Modal>
        </ModalOverlay>
    );
}
