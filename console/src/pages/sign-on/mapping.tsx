// What an identity provider says of people: which of its names is which attribute, and which of its groups gives which role.

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Plus, X } from "lucide-react";
import { type ReactNode, useState } from "react";
import { type Schemas, api, read } from "../../api/client";
import { useRoles } from "../../choices";
import { ActionForm, useAction } from "../../ui/action";
import { Button, Card, Empty, SelectField, TextField } from "../../ui/basics";

type Provider = Schemas["SsoProvider"];
type Kind = Provider["provider_type"];
/** One of our names, or a group, and what it leads to. */
type Row = readonly [from: string, to: string];
/** A name of the provider, and who uses it. */
type Usual = readonly [name: string, of?: string];

/** What the server reads itself; every other name is an attribute of the member. */
const READ: Record<string, { what: string; kind?: Kind; usual: Record<Kind, readonly Usual[]> }> = {
    email: {
        what: "The address accounts are matched by.",
        usual: {
            oidc: [
                ["email"],
                ["preferred_username", "Microsoft Entra ID, Keycloak"],
                ["upn", "Microsoft Entra ID, ADFS"],
            ],
            saml: [
                ["email", "Okta"],
                ["mail"],
                ["http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress", "Microsoft Entra ID, ADFS"],
                ["urn:oid:0.9.2342.19200300.100.1.3", "Shibboleth"],
            ],
        },
    },
    email_verified: {
        what: "Whether the provider has verified the address.",
        kind: "oidc",
        usual: { oidc: [["email_verified"], ["xms_edov", "Microsoft Entra ID"]], saml: [] },
    },
    name: {
        what: "The full name.",
        usual: {
            oidc: [["name"], ["nickname"]],
            saml: [
                ["displayName"],
                ["http://schemas.microsoft.com/identity/claims/displayname", "Microsoft Entra ID"],
                ["urn:oid:2.16.840.1.113730.3.1.241", "Shibboleth"],
            ],
        },
    },
    first_name: {
        what: "Used with the last name if there is no full name.",
        usual: {
            oidc: [["given_name"]],
            saml: [
                ["firstName", "Okta"],
                ["givenName"],
                ["http://schemas.xmlsoap.org/ws/2005/05/identity/claims/givenname", "Microsoft Entra ID, ADFS"],
                ["urn:oid:2.5.4.42", "Shibboleth"],
            ],
        },
    },
    last_name: {
        what: "Used with the first name if there is no full name.",
        usual: {
            oidc: [["family_name"]],
            saml: [
                ["lastName", "Okta"],
                ["sn"],
                ["http://schemas.xmlsoap.org/ws/2005/05/identity/claims/surname", "Microsoft Entra ID, ADFS"],
                ["urn:oid:2.5.4.4", "Shibboleth"],
            ],
        },
    },
    groups: {
        what: "Used for the roles below.",
        usual: {
            oidc: [["groups"], ["roles", "Microsoft Entra ID"], ["realm_access.roles", "Keycloak"]],
            saml: [
                ["groups", "Okta"],
                ["memberOf"],
                ["http://schemas.microsoft.com/ws/2008/06/identity/claims/groups", "Microsoft Entra ID"],
                ["urn:oid:1.3.6.1.4.1.5923.1.5.1.1", "Shibboleth"],
            ],
        },
    },
    subject: {
        what: "Identifies people instead of the NameID. It must never change.",
        kind: "saml",
        usual: {
            oidc: [],
            saml: [
                ["http://schemas.microsoft.com/identity/claims/objectidentifier", "Microsoft Entra ID"],
                ["employeeNumber"],
                ["urn:oasis:names:tc:SAML:attribute:subject-id", "Shibboleth"],
            ],
        },
    },
};

/** What our name stands for, where the server reads it; any word may be typed. */
const standing = (ours: string) => (Object.hasOwn(READ, ours) ? READ[ours] : undefined);

/** `offered` is what the last test of the provider says that it can send. */
export function AttributeMapping({ provider, offered }: { provider: Provider; offered: readonly string[] }) {
    const kind = provider.provider_type;
    // What it said of those who came in by it.
    const linked = useQuery({
        queryKey: ["identities", provider.id, "claims"],
        queryFn: () =>
            read(
                api.GET("/api/v1/sso/providers/{provider_id}/identities", {
                    params: { path: { provider_id: provider.id }, query: { page_size: 20 } },
                }),
            ),
    });
    const said = (linked.data?.items ?? []).flatMap((each) => each.claims);
    const known = Object.entries(READ).filter(([, entry]) => !entry.kind || entry.kind === kind);
    /** For one of our names: what providers call it, and what this one says that it has. */
    const suggested = (ours: string) => {
        const all = new Map((standing(ours)?.usual[kind] ?? []).map(([name, of]) => [name, of]));
        for (const name of [...offered, ...said]) all.set(name, "This provider");
        return [...all];
    };
    const meaning = (ours: string, theirs: string) => {
        if (ours === "email" && kind === "oidc" && theirs && theirs !== "email")
            return "Map email_verified as well: the usual claim speaks of the usual address alone.";
        const entry = standing(ours);
        if (entry?.kind && entry.kind !== kind) return "Not used by this protocol.";
        return entry?.what ?? (ours && `Policies name it current_user_${ours}.`);
    };
    const save = useProviderChange(provider.id);
    return (
        <Mapping
            title="Attribute mapping"
            lead={
                "Attributes without a mapping use the usual names." +
                (kind === "oidc" ? " A dot leads into an object: realm_access.roles." : "")
            }
            field="attribute_mapping"
            first={Object.entries(provider.attribute_mapping)}
            save={(attribute_mapping) => save({ attribute_mapping })}
            what="attributes"
            add="Add an attribute"
            twice="is mapped already"
            empty="Only the usual names"
            value={String}
        >
            {({ row: [ours, theirs], index, change, error, isNew }) => (
                <>
                    <TextField
                        label="RiverGen attribute"
                        required
                        autoFocus={isNew}
                        spellCheck={false}
                        autoCapitalize="none"
                        list={`ours-${index}`}
                        value={ours}
                        onValue={(value) => change([value, theirs])}
                        hint={meaning(ours, theirs)}
                        error={error}
                    />
                    <datalist id={`ours-${index}`}>
                        {known.map(([name, { what }]) => (
                            <option key={name} value={name}>
                                {what}
                            </option>
                        ))}
                    </datalist>
                    <TextField
                        label={kind === "saml" ? "Provider attribute" : "Provider claim"}
                        required
                        className="mono"
                        spellCheck={false}
                        autoCapitalize="none"
                        list={`theirs-${index}`}
                        value={theirs}
                        onValue={(value) => change([ours, value])}
                    />
                    <datalist id={`theirs-${index}`}>
                        {suggested(ours).map(([name, of]) => (
                            <option key={name} value={name}>
                                {of}
                            </option>
                        ))}
                    </datalist>
                </>
            )}
        </Mapping>
    );
}

export function GroupMapping({ provider }: { provider: Provider }) {
    const save = useProviderChange(provider.id);
    return (
        <RolesByGroups
            lead="Applied at each sign-in. A role that came from a group goes when the group does."
            held={provider.group_role_mapping}
            save={(next) => save({ group_role_mapping: next as never })}
        />
    );
}

/** Changes the provider, and answers once the page shows it as it is then. */
function useProviderChange(provider: number) {
    const queries = useQueryClient();
    return async (body: Partial<Pick<Provider, "attribute_mapping" | "group_role_mapping">>) => {
        const params = { path: { provider_id: provider } };
        const answer = await read(api.PUT("/api/v1/sso/providers/{provider_id}", { params, body }));
        queries.setQueryData(["provider", String(provider)], answer);
        void queries.invalidateQueries({ queryKey: ["providers"] });
    };
}

export function RolesByGroups({
    lead,
    held,
    save,
}: {
    lead: string;
    /** From groups to the ids of roles. */
    held: Record<string, unknown>;
    /** Ends once what is held is what was saved. */
    save: (next: Record<string, number>) => Promise<unknown>;
}) {
    const roles = useRoles();
    return (
        <Mapping
            title="Roles by groups"
            lead={lead}
            field="group_role_mapping"
            first={Object.entries(held).map(([group, role]) => [group, String(role)] as const)}
            save={save}
            what="groups"
            add="Add a group"
            twice="has a role already"
            empty="No group roles yet"
            value={Number}
        >
            {({ row: [group, role], change, error, isNew }) => (
                <>
                    <TextField
                        label="Group"
                        required
                        autoFocus={isNew}
                        spellCheck={false}
                        autoCapitalize="none"
                        placeholder="data-analysts"
                        value={group}
                        onValue={(value) => change([value, role])}
                        error={error}
                    />
                    <SelectField
                        label="Role"
                        required
                        value={role}
                        onValue={(value) => change([group, value])}
                        options={[
                            ["", "Choose one"],
                            ...(roles.data?.roles ?? []).map((each) => [String(each.id), each.name] as const),
                            // One that is not among them is shown as it is, and not as another.
                            ...(role && !roles.data?.roles.some((each) => String(each.id) === role)
                                ? [[role, `Role ${role}`] as const]
                                : []),
                        ]}
                    />
                </>
            )}
        </Mapping>
    );
}

/** Rows of an object that the server takes as a whole; what it refuses is said at the row. */
function Mapping<V extends string | number>({
    title,
    lead,
    field,
    first,
    save: send,
    what,
    add,
    twice,
    empty,
    value,
    children,
}: {
    title: string;
    lead: string;
    /** What the server calls it where it refuses a part. */
    field: string;
    first: readonly Row[];
    save: (next: Record<string, V>) => Promise<unknown>;
    what: string;
    add: string;
    /** What is wrong with a row whose first part another has. */
    twice: string;
    empty: string;
    value: (to: string) => V;
    children: (props: {
        row: Row;
        index: number;
        change: (row: Row) => void;
        error?: string;
        isNew: boolean;
    }) => ReactNode;
}) {
    const [draft, setDraft] = useState<readonly Row[]>();
    const rows = draft ?? first;
    const save = useAction(() => send(Object.fromEntries(rows.map(([from, to]) => [from, value(to)]))), {
        done: "Saved.",
        inline: true,
        onDone: () => setDraft(undefined),
    });
    // Of two rows of one name, the object would have the last alone.
    const isTwice = (index: number) => rows.some(([from], other) => other < index && from === rows[index]?.[0]);
    const error = (from: string, index: number) =>
        from && isTwice(index) ? twice : from ? save.of(`${field}.${from}`) : undefined;
    const touched = draft !== undefined && JSON.stringify(draft) !== JSON.stringify(first);
    return (
        <section className="stack tight">
            <h2>{title}</h2>
            <p className="soft">{lead}</p>
            <ActionForm
                action={save}
                submit={`Save the ${what}`}
                disabled={!touched || rows.some((_, index) => isTwice(index))}
                touched={touched}
                what={`The ${what} are`}
                beside={
                    <Button icon={<Plus size={15} />} onClick={() => setDraft([...rows, ["", ""]])}>
                        {add}
                    </Button>
                }
            >
                <Card flush>
                    {rows.length === 0 ? (
                        <Empty title={empty} />
                    ) : (
                        <ul className="list">
                            {rows.map((row, index) => (
                                <li key={index} className="pair">
                                    {children({
                                        row,
                                        index,
                                        change: (next) => setDraft(rows.with(index, next)),
                                        error: error(row[0], index),
                                        isNew: draft !== undefined && row[0] === "" && index === rows.length - 1,
                                    })}
                                    <Button
                                        kind="quiet"
                                        icon={<X size={16} />}
                                        aria-label={`Remove ${row[0] || "this row"}`}
                                        onClick={() => setDraft(rows.toSpliced(index, 1))}
                                    />
                                </li>
                            ))}
                        </ul>
                    )}
                </Card>
            </ActionForm>
        </section>
    );
}
