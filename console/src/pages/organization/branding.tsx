// How the pages look on which people sign in to the organization.

import { useState } from "react";
import { type Schemas, api, read } from "../../api/client";
import { useOrganization } from "../../standing";
import { ActionForm, useAction } from "../../ui/action";
import { Button, Card, Copyable, Field, Note } from "../../ui/basics";
import { Brand, themed } from "../../ui/branding";
import { Picture, asPicture } from "../../ui/picture";

/** What the field shows where no colour is set: that of the console. */
const USUAL = "#0a5fb4";

type Props = { branding: Schemas["Branding"]; organization: Schemas["Organization"] };

function useChange<A>(to: (argument: A) => Promise<Partial<Schemas["Branding"]>> | Partial<Schemas["Branding"]>) {
    const id = useOrganization();
    return useAction(
        async (argument: A) =>
            read(
                api.PATCH("/api/v1/organizations/{org_id}/settings", {
                    params: { path: { org_id: id } },
                    body: { settings: { branding: await to(argument) } as never },
                }),
            ),
        { done: "Saved.", changes: [["settings", id]], inline: true },
    );
}

export function Branding({ branding, organization }: Props) {
    const setLogo = useChange(async (file: File | null) => ({ logo: file && (await asPicture(file)) }));
    return (
        <div className="stack">
            <Card title="Sign-in page">
                <div className="stack">
                    <Colour key={branding.accent_color} branding={branding} organization={organization} />
                    <Picture
                        picture={branding.logo}
                        kinds={["image/png", "image/jpeg", "image/webp"]}
                        hint="PNG, JPEG or WebP, up to 64 KiB. Shown above the form."
                        field="settings.branding.logo"
                        set={setLogo}
                    />
                </div>
            </Card>
            <Card title="Address">
                {organization.domain && organization.domain_verified ? (
                    <Copyable
                        label="address"
                        text={`${location.origin}/sign-in?${new URLSearchParams({ organization: organization.domain })}`}
                    />
                ) : (
                    <Note>
                        Verify a mail domain to give this sign-in page its own address. Invitations and applications use
                        this look in any case.
                    </Note>
                )}
            </Card>
        </div>
    );
}

/** The colour, and how both themes look in it before it is kept. */
function Colour({ branding, organization }: Props) {
    const kept = branding.accent_color ?? null;
    const [color, setColor] = useState(kept);
    const save = useChange(() => ({ accent_color: color }));
    const look = { organization_name: organization.name, branding: { ...branding, accent_color: color } };
    return (
        <ActionForm
            action={save}
            submit="Save"
            disabled={color === kept}
            touched={color !== kept}
            beside={
                color !== null && (
                    <Button disabled={save.busy} onClick={() => setColor(null)}>
                        Use the default colour
                    </Button>
                )
            }
        >
            <Field
                label="Colour"
                hint="Used for buttons and focus. Darkened or lightened where it would be hard to read."
                error={save.of("settings.branding.accent_color")}
            >
                {(props) => (
                    <input
                        {...props}
                        type="color"
                        value={color ?? USUAL}
                        onChange={(event) => setColor(event.target.value)}
                    />
                )}
            </Field>
            <div className="halves">
                {(["light", "dark"] as const).map((theme) => {
                    const { className, style } = themed(color);
                    return (
                        <figure
                            key={theme}
                            className={`card pad look ${className}`}
                            style={style}
                            data-theme={theme}
                            aria-label={`The sign-in page, ${theme}`}
                        >
                            <Brand look={look} />
                            <span className="button primary wide">Sign in</span>
                            <span className="like-link">Forgot password?</span>
                        </figure>
                    );
                })}
            </div>
        </ActionForm>
    );
}
