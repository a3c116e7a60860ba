// The person's menu, and the choice of organization and workspace.

import { useNavigate } from "@tanstack/react-router";
import { ChevronsUpDown, LoaderCircle } from "lucide-react";
import { type ComponentProps, type ReactNode, Suspense, lazy, useRef, useState } from "react";
import { ApiError, api, read } from "../api/client";
import { useWorkspaces } from "../choices";
import { session } from "../session";
import { enter, useMe, usePlace } from "../standing";
import { useAction } from "./action";
import { Avatar } from "./basics";
import type { Opened } from "./person-menus";
import { giveUp, mayLeave } from "./unsaved";

const menus = () => import("./person-menus");
const OfPerson = lazy(async () => ({ default: (await menus()).OfPerson }));
const OfPlace = lazy(async () => ({ default: (await menus()).OfPlace }));

/** Ends the session, and where an identity provider opened it, leads there to sign out of that too. */
export async function signOut() {
    if (!(await mayLeave())) return;
    const answer = await read(api.POST("/api/v1/sso/logout", { body: {} })).catch(() => undefined);
    // That one is not for everybody, such as people who have not confirmed their address.
    if (!answer)
        await read(api.POST("/api/v1/auth/logout")).catch((error) => {
            // What is over already is over. What could not be ended goes on, and whoever believes otherwise is wrong.
            if (!(error instanceof ApiError) || error.status === 0 || error.status >= 500) throw error;
        });
    giveUp();
    session.end();
    if (answer?.logout_url) location.assign(answer.logout_url);
}

/** A button and its menu, which is loaded when it seems to be wanted. */
function MenuButton({
    label,
    menu,
    busy,
    children,
    ...rest
}: ComponentProps<"button"> & {
    label: string;
    menu: (opened: Opened) => ReactNode;
    /** Whether what was chosen still runs. */
    busy: boolean;
}) {
    const button = useRef<HTMLButtonElement>(null);
    const [open, setOpen] = useState<"mouse" | "keyboard">();
    const preload = () => void menus().catch(() => undefined);
    return (
        <>
            <button
                {...rest}
                ref={button}
                type="button"
                aria-haspopup="menu"
                aria-expanded={open !== undefined}
                aria-busy={busy || undefined}
                onPointerEnter={preload}
                onFocus={preload}
                onClick={(event) => {
                    // Not every browser gives it the focus, which comes back here in the end.
                    event.currentTarget.focus();
                    setOpen(event.detail === 0 ? "keyboard" : "mouse");
                }}
                onKeyDown={(event) => {
                    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
                    event.preventDefault();
                    setOpen("keyboard");
                }}
            >
                {children}
                <span className="visually-hidden">{label}</span>
                {busy && <LoaderCircle size={15} className="spin" aria-hidden />}
            </button>
            {open && (
                <Suspense>
                    {menu({
                        label,
                        button,
                        isByKeyboard: open === "keyboard",
                        onClose: () => setOpen(undefined),
                    })}
                </Suspense>
            )}
        </>
    );
}

export function PersonMenu() {
    const me = useMe();
    const name = me.data?.user.display_name ?? "";
    const leave = useAction(signOut);
    return (
        <MenuButton
            label="Your account"
            busy={leave.busy}
            menu={(opened) => <OfPerson opened={opened} onSignOut={() => void leave.start(undefined)} />}
            className="button quiet"
        >
            <Avatar name={name || "?"} picture={me.data?.user.profile_image_url} />
            <span className="grow break" style={{ textAlign: "left" }}>
                {name}
            </span>
        </MenuButton>
    );
}

export function PlaceMenu() {
    const { organization, workspace } = usePlace();
    const me = useMe();
    const workspaces = useWorkspaces();
    const here = me.data?.organizations?.find((each) => each.id === organization);
    const room = workspaces.data?.workspaces.find((each) => each.id === workspace);
    const navigate = useNavigate();
    const change = useAction(async (id: number) => {
        enter(await read(api.POST("/api/v1/auth/switch-workspace", { body: { workspace_id: id } })));
        void navigate({ to: "/" });
    });
    return (
        <MenuButton
            label="Switch organization or workspace"
            busy={change.busy}
            menu={(opened) => <OfPlace opened={opened} onPlace={(id) => void change.start(id)} />}
            className="button"
            style={{ width: "100%", minHeight: 46, justifyContent: "flex-start" }}
        >
            <span className="grow" style={{ textAlign: "left", lineHeight: 1.25, overflow: "hidden" }}>
                <span style={{ display: "block", overflow: "hidden", textOverflow: "ellipsis" }}>
                    {here?.name ?? "No organization"}
                </span>
                <span className="small soft" style={{ fontWeight: 450 }}>
                    {room?.name ?? " "}
                </span>
            </span>
            <ChevronsUpDown size={15} aria-hidden />
        </MenuButton>
    );
}
