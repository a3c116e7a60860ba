// The person's menu, and the choice of organization and workspace.

import { useNavigate } from "@tanstack/react-router";
import { Check, ChevronsUpDown, LogOut, Moon } from "lucide-react";
import {
    Button as AriaButton,
    Header,
    Menu,
    MenuItem,
    MenuSection,
    MenuTrigger,
    Popover,
    Separator,
} from "react-aria-components";
import { api, read } from "../api/client";
import { useWorkspaces } from "../choices";
import { queries } from "../queries";
import { session } from "../session";
import { useMe, usePlace } from "../standing";
import { Avatar } from "./basics";
import { others } from "./places";
import { toggleTheme } from "./theme";
import { tellError } from "./tell";

export async function signOut() {
    await read(api.POST("/api/v1/auth/logout")).catch(() => undefined);
    session.end();
}

export function PersonMenu() {
    const me = useMe();
    const navigate = useNavigate();
    const name = me.data?.user.display_name ?? "";
    return (
        <MenuTrigger>
            <AriaButton className="button quiet">
                <Avatar name={name || "?"} />
                <span className="grow break" style={{ textAlign: "left" }}>
                    {name}
                </span>
                <span className="visually-hidden">Your account</span>
            </AriaButton>
            <Popover className="popover" placement="top start">
                <Menu
                    className="menu"
                    onAction={(key) => {
                        if (key === "theme") toggleTheme();
                        else if (key === "out") void signOut();
                        else void navigate({ to: String(key) });
                    }}
                >
                    <MenuSection>
                        <Header>{me.data?.user.primary_email}</Header>
                        {others
                            .filter(
                                (place) =>
                                    place.path.startsWith("/me") ||
                                    place.path === "/invited" ||
                                    place.path === "/operator",
                            )
                            .map((place) => (
                                <MenuItem key={place.path} id={place.path}>
                                    <place.icon size={16} />
                                    {place.label}
                                </MenuItem>
                            ))}
                    </MenuSection>
                    <Separator />
                    <MenuItem id="theme">
                        <Moon size={16} />
                        Light or dark
                    </MenuItem>
                    <MenuItem id="out">
                        <LogOut size={16} />
                        Sign out
                    </MenuItem>
                </Menu>
            </Popover>
        </MenuTrigger>
    );
}

export function PlaceMenu() {
    const { organization, workspace } = usePlace();
    const navigate = useNavigate();
    const me = useMe();
    const workspaces = useWorkspaces();
    const organizations = me.data?.organizations ?? [];
    const here = organizations.find((each) => each.id === organization);
    const room = workspaces.data?.workspaces.find((each) => each.id === workspace);
    const enter = async (id: number) => {
        if (id === workspace) return;
        try {
            const tokens = await read(api.POST("/api/v1/auth/switch-workspace", { body: { workspace_id: id } }));
            session.begin(tokens, false);
            queries.clear();
            void navigate({ to: "/" });
        } catch (error) {
            tellError(error);
        }
    };
    return (
        <MenuTrigger>
            <AriaButton className="button" style={{ width: "100%", minHeight: 46, justifyContent: "flex-start" }}>
                <span className="grow" style={{ textAlign: "left", lineHeight: 1.25, overflow: "hidden" }}>
                    <span style={{ display: "block", overflow: "hidden", textOverflow: "ellipsis" }}>
                        {here?.name ?? "No organization"}
                    </span>
                    <span className="small soft" style={{ fontWeight: 450 }}>
                        {room?.name ?? " "}
                    </span>
                </span>
                <span className="visually-hidden">Switch organization or workspace</span>
                <ChevronsUpDown size={15} aria-hidden />
            </AriaButton>
            <Popover className="popover" placement="bottom start">
                <Menu
                    className="menu"
                    onAction={(key) => (key === "new" ? void navigate({ to: "/welcome" }) : void enter(Number(key)))}
                >
                    {organizations.map((each) => (
                        <MenuSection key={each.id}>
                            <Header>{each.name}</Header>
                            {(workspaces.data?.workspaces ?? [])
                                .filter((candidate) => candidate.organization_id === each.id)
                                .map((candidate) => (
                                    <MenuItem key={candidate.id} id={candidate.id} textValue={candidate.name}>
                                        {candidate.id === workspace ? (
                                            <Check size={15} />
                                        ) : (
                                            <span style={{ width: 15 }} />
                                        )}
                                        {candidate.name}
                                    </MenuItem>
                                ))}
                        </MenuSection>
                    ))}
                    <Separator />
                    <MenuItem id="new">New organization…</MenuItem>
                </Menu>
            </Popover>
        </MenuTrigger>
    );
}
