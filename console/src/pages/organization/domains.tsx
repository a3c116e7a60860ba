// The mail domains of an organization, proved by a record in the DNS or, for a year, by a mailed code.

import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { type Schemas, api, read } from "../../api/client";
import { useMay, useOrganization } from "../../standing";
import { ActionButton, ActionForm, useAction } from "../../ui/action";
import { Button, Card, Check, Copyable, Empty, Note, SelectField, Status, TextField, When } from "../../ui/basics";
import { Pager } from "../../ui/list";
import { Loaded } from "../../ui/loaded";

/** Domains on one page. */
const SIZE = 20;

/** Whether its record was there when it was last looked for. */
const isProved = (domain: Schemas["Domain"]) =>
    domain.status === "verified" && !domain.missing_since && !domain.mail_proof_until;

type Mailbox = Schemas["MailDomainRequest"]["mailbox"];

/** Those that a domain keeps for whoever runs it. */
const MAILBOXES: readonly Mailbox[] = ["postmaster", "admin", "administrator", "hostmaster", "webmaster"];

export function Domains() {
    const may = useMay();
    const id = useOrganization();
    const [domain, setDomain] = useState("");
    const [page, setPage] = useState(1);
    const path = { org_id: id };
    const changes = [["domains", id]];
    const domains = useQuery({
        queryKey: ["domains", id, page],
        placeholderData: keepPreviousData,
        queryFn: () =>
            read(
                api.GET("/api/v1/organizations/{org_id}/domains", {
                    params: { path, query: { skip: (page - 1) * SIZE, limit: SIZE } },
                }),
            ),
    });
    const add = useAction(
        () => read(api.POST("/api/v1/organizations/{org_id}/domains", { params: { path }, body: { domain } })),
        { done: "Added. Publish its DNS record next.", changes, inline: true, onDone: () => setDomain("") },
    );
    const verify = useAction(
        (each: number) =>
            read(
                api.POST("/api/v1/organizations/{org_id}/domains/{domain_id}/verify", {
                    params: { path: { ...path, domain_id: each } },
                }),
            ),
        { done: "Checked.", changes },
    );
    const join = useAction(
        (each: Schemas["Domain"]) =>
            read(
                api.PATCH("/api/v1/organizations/{org_id}/domains/{domain_id}", {
                    params: { path: { ...path, domain_id: each.id } },
                    body: { auto_join: !each.auto_join },
                }),
            ),
        { done: "Saved.", changes },
    );
    const remove = useAction(
        (each: number) =>
            read(
                api.DELETE("/api/v1/organizations/{org_id}/domains/{domain_id}", {
                    params: { path: { ...path, domain_id: each } },
                }),
            ),
        { done: "Removed.", changes },
    );
    return (
        <div className="stack">
            <Loaded query={domains}>
                {(data) =>
                    data.domains.length === 0 ? (
                        <div className="card">
                            <Empty title="No mail domains yet">
                                Verify a domain you own. Its people can then sign in with your identity provider or join
                                on their own.
                            </Empty>
                        </div>
                    ) : (
                        data.domains.map((each) => (
                            <Card key={each.id} title={each.domain} actions={<Status value={each.status} />}>
                                <div className="stack tight">
                                    {each.missing_since && (
                                        <Note tone="warn">
                                            Its DNS record was found missing <When at={each.missing_since} />. Publish
                                            it again: the verification lapses seven days after that.
                                        </Note>
                                    )}
                                    {each.mail_proof_until && (
                                        <Note>
                                            Verified by e-mail until <When at={each.mail_proof_until} />. Before then,
                                            publish the DNS record or verify by e-mail again.
                                        </Note>
                                    )}
                                    {each.status === "verified" && (
                                        <Check
                                            label="People with an address in this domain can join on their own"
                                            checked={each.auto_join}
                                            disabled={!may("organization.update") || join.busy}
                                            onChange={() => join.start(each)}
                                        />
                                    )}
                                    {!isProved(each) && (
                                        <>
                                            <p className="soft">
                                                Publish this {each.record.type} record in your DNS, then verify it.
                                            </p>
                                            <span className="label">Name</span>
                                            <Copyable text={each.record.name} label="name" />
                                            <span className="label">Value</span>
                                            <Copyable text={each.record.value} label="value" />
                                        </>
                                    )}
                                    {may("organization.update") && !isProved(each) && (
                                        <ByMail domain={each} changes={changes} />
                                    )}
                                    {may("organization.update") && (
                                        <div className="form-end">
                                            <ActionButton kind="danger" action={remove} on={each.id}>
                                                Remove
                                            </ActionButton>
                                            {!isProved(each) && (
                                                <ActionButton kind="primary" action={verify} on={each.id}>
                                                    Verify
                                                </ActionButton>
                                            )}
                                        </div>
                                    )}
                                </div>
                            </Card>
                        ))
                    )
                }
            </Loaded>
            <Pager name="domains" page={page} size={SIZE} total={domains.data?.total_count ?? 0} onPage={setPage} />
            {may("organization.update") && (
                <Card title="Add a domain">
                    <ActionForm action={add} className="stack tight" touched={domain !== ""} what="The domain is">
                        <div className="row">
                            <div className="grow">
                                <input
                                    type="text"
                                    aria-label="Domain"
                                    placeholder="acme.example"
                                    required
                                    value={domain}
                                    onChange={(event) => setDomain(event.target.value)}
                                />
                            </div>
                            <Button type="submit" busy={add.busy}>
                                Add
                            </Button>
                        </div>
                    </ActionForm>
                </Card>
            )}
        </div>
    );
}

/** For who cannot change the DNS: a code that goes to whoever runs the domain. */
function ByMail({ domain, changes }: { domain: Schemas["Domain"]; changes: unknown[][] }) {
    const path = { org_id: useOrganization(), domain_id: domain.id };
    const [mailbox, setMailbox] = useState<Mailbox>("postmaster");
    const [code, setCode] = useState("");
    const mail = useAction(
        () =>
            read(
                api.POST("/api/v1/organizations/{org_id}/domains/{domain_id}/mail", {
                    params: { path },
                    body: { mailbox },
                }),
            ),
        { done: (sent) => `Code sent to ${sent.sent_to}.`, inline: true },
    );
    const verify = useAction(
        () =>
            read(
                api.POST("/api/v1/organizations/{org_id}/domains/{domain_id}/mail/verify", {
                    params: { path },
                    body: { code: code.trim() },
                }),
            ),
        { done: "Domain verified.", changes, inline: true, onDone: () => setCode("") },
    );
    return (
        <details>
            <summary>Verify by e-mail instead</summary>
            <div className="stack tight">
                <p className="soft">
                    For when you cannot change the DNS. It lasts one year, unless another organization publishes its DNS
                    record first.
                </p>
                <ActionForm action={mail} submit="Send code" className="stack tight">
                    <SelectField
                        label="Mailbox"
                        value={mailbox}
                        onValue={(value) => setMailbox(value as Mailbox)}
                        options={MAILBOXES.map((name) => [name, `${name}@${domain.domain}`] as const)}
                    />
                </ActionForm>
                <ActionForm action={verify} submit="Verify code" className="stack tight">
                    <TextField
                        label="Code from the e-mail"
                        required
                        autoComplete="off"
                        spellCheck={false}
                        value={code}
                        onValue={setCode}
                        error={verify.of("code")}
                    />
                </ActionForm>
            </div>
        </details>
    );
}
