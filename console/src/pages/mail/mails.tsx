// What the demo has mailed: the links and codes that its people would find in their mail.

import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { checked } from "../../api/client";
import { Empty, Page, SearchBox, When } from "../../ui/basics";
import { Loaded } from "../../ui/loaded";
import { read } from "./message";

export function Mails() {
    const [typed, setTyped] = useState("");
    const mails = useQuery({
        queryKey: ["mails"],
        refetchInterval: 3000,
        queryFn: async () => {
            const response = await fetch("/demo/mails");
            // Where it is no demo, or a mail server takes them.
            if (response.status === 404) return [];
            const sent = (await (await checked(response)).json()) as { name: string; message: string }[];
            return sent.map(({ name, message }) => ({ name, ...read(message) }));
        },
    });
    const wanted = typed.trim().toLowerCase();
    return (
        <Page
            title="Demo mailbox"
            lead="All e-mails this demo sent, newest first. Outside a demo they go to their recipients only."
            crumbs={<Link to="/operator">Server health</Link>}
            narrow
        >
            <Loaded query={mails}>
                {(data) => {
                    const shown = data.filter((mail) => `${mail.to} ${mail.subject}`.toLowerCase().includes(wanted));
                    return (
                        <>
                            {data.length > 0 && (
                                <SearchBox label="Search by address or subject" value={typed} onValue={setTyped} />
                            )}
                            {shown.map((mail) => (
                                <details key={mail.name} className="card pad">
                                    <summary>
                                        <b className="strong break">{mail.subject}</b>{" "}
                                        <span className="small soft break">
                                            to {mail.to}, <When at={mail.at} />
                                        </span>
                                    </summary>
                                    <p className="break" style={{ whiteSpace: "pre-wrap", marginTop: 12 }}>
                                        <WithLinks text={mail.text} />
                                    </p>
                                </details>
                            ))}
                            {shown.length === 0 && (
                                <div className="card">
                                    {data.length === 0 ? (
                                        <Empty title="No e-mails yet">
                                            Invite someone or reset a password to see one here.
                                        </Empty>
                                    ) : (
                                        <Empty title="No e-mail matches" />
                                    )}
                                </div>
                            )}
                        </>
                    );
                }}
            </Loaded>
        </Page>
    );
}

/** Addresses in a text, to be followed. */
function WithLinks({ text }: { text: string }) {
    return text.split(/(https?:\/\/[^\s<>"]+)/).map((part, index) =>
        index % 2 === 1 ? (
            <a key={index} href={part} target="_blank" rel="noreferrer">
                {part}
            </a>
        ) : (
            part
        ),
    );
}
