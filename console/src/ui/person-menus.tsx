// What the menus of the person and of their place hold. They are loaded when one is first opened.

import { useNavigate } from "@tanstack/react-router";
import { Check, LogOut, Moon } from "lucide-react";
import type { ReactNode, RefObject } from "react";
import { Header, Menu, MenuItem, MenuSection, Popover, Separator } from "react-aria-components";
import { useWorkspaces } from "../choices";
import { useMe, usePlace } from "../standing";
import { others } from "./places";
import { toggleTheme } from "./theme";
import { tell } from "./tell";
import { isUnsaved } from "./unsaved";

/** The button that was pressed, and how. */
export type Opened = {
    label: string;
    button: RefObject<HTMLButtonElement | null>;
    /** By the keyboard one begins with the first of the choices. */
    isByKeyboard: boolean;
    onClose: () => void;
};

function Above({
    of,
    placement,
    onAction,
    children,
}: {
    of: Opened;
    placement: "top start" | "bottom start";
    onAction: (key: string) => void;
    children: ReactNode;
}) {
    return (
        <Popover
            className="popover"
            placement={placement}
            trigger="MenuTrigger"
            triggerRef={of.button}
            aria-label={of.label}
            isOpen
            onOpenChange={(open) => !open && of.onClose()}
        >
            <Menu
                className="menu"
                aria-label={of.label}
                autoFocus={of.isByKeyboard ? "first" : true}
                onAction={(key) => onAction(String(key))}
                onClose={of.onClose}
            >
                {children}
            </Menu>
        </Popover>
    );
}

export function OfPerson({ opened, onSignOut }: { opened: Opened; onSignOut: () => void }) {
    const me = useMe();
    const navigate = useNavigate();
    return (
        <Above
            of={opened}
            placement="top start"
            onAction={(key) => {
                if (key === "theme") toggleTheme();
                else if (key === "out") onSignOut();
                else void navigate({ to: key });
            }}
        >
            <MenuSection>
                <Header>{me.data?.user.primary_email}</Header>
                {others
                    .filter(
                        (place) =>
                            place.path.startsWith("/me") || place.path === "/invited" || place.path === "/operator",
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
                Toggle dark mode
            </MenuItem>
            <MenuItem id="out">
                <LogOut size={16} />
                Sign out
            </MenuItem>
        </Above>
    );
}

export function OfPlace({ opened, onPlace }: { opened: Opened; onPlace: (workspace: number) => void }) {
    const { workspace } = usePlace();
    const navigate = useNavigate();
    const me = useMe();
    const workspaces = useWorkspaces();
    const organizations = me.data?.organizations ?? [];
    const change = (id: number) => {
        if (id === workspace) return;
        if (isUnsaved()) return tell("You have unsaved changes. Save or discard them first.");
        onPlace(id);
    };
    return (
        <Above
            of={opened}
            placement="bottom start"
            onAction={(key) => (key === "new" ? void navigate({ to: "/welcome" }) : change(Number(key)))}
        >
            {organizations.map((each) => (
                <MenuSection key={each.id}>
                    <Header>{each.name}</Header>
                    {(workspaces.data?.workspaces ?? [])
                        .filter((candidate) => candidate.organization_id === each.id)
                        .map((candidate) => (
                            <MenuItem key={candidate.id} id={candidate.id} textValue={candidate.name}>
                                {candidate.id === workspace ? <Check size={15} /> : <span style={{ width: 15 }} />}
                                {candidate.name}
                            </MenuItem>
                        ))}
                </MenuSection>
            ))}
            <Separator />
            <MenuItem id="new">New organization…</MenuItem>
        </Above>
    );
}
