// What stands above the page: dialogs and menus.

import { LoaderCircle } from "lucide-react";
import type { ReactNode } from "react";
import {
    Dialog as AriaDialog,
    Heading,
    Menu,
    MenuItem,
    MenuTrigger,
    Modal,
    ModalOverlay,
    Popover,
    Pressable,
} from "react-aria-components";

export function Dialog({
    title,
    onClose,
    wide,
    touched = false,
    children,
}: {
    title: string;
    onClose: () => void;
    wide?: boolean;
    /** Whether something was typed that a click beside it must not lose. */
    touched?: boolean;
    children: ReactNode;
}) {
    return (
        <ModalOverlay
            isOpen
            isDismissable={!touched}
            isKeyboardDismissDisabled={touched}
            onOpenChange={(open) => !open && onClose()}
            className="scrim"
        >
            <Modal className={`dialog ${wide ? "wide" : ""}`}>
                <AriaDialog>
                    <Heading slot="title" level={2}>
                        {title}
                    </Heading>
                    {children}
                </AriaDialog>
            </Modal>
        </ModalOverlay>
    );
}

export type Choice = { label: string; icon?: ReactNode; danger?: boolean; run: () => void };

export function ActionMenu({
    label,
    busy,
    choices,
    children,
}: {
    label: string;
    /** Whether what was chosen still runs. */
    busy?: boolean;
    choices: (Choice | false | undefined)[];
    children: ReactNode;
}) {
    const shown = choices.filter((choice): choice is Choice => Boolean(choice));
    if (shown.length === 0) return null;
    return (
        <MenuTrigger>
            <Pressable>
                <button
                    type="button"
                    className="button quiet small icon"
                    aria-label={label}
                    aria-busy={busy || undefined}
                >
                    {busy ? <LoaderCircle size={16} className="spin" aria-hidden /> : children}
                </button>
            </Pressable>
            <Popover className="popover" placement="bottom end">
                <Menu className="menu" onAction={(key) => shown[Number(key)]?.run()}>
                    {shown.map((choice, index) => (
                        <MenuItem
                            key={choice.label}
                            id={index}
                            textValue={choice.label}
                            className={choice.danger ? "danger" : ""}
                        >
                            {choice.icon}
                            {choice.label}
                        </MenuItem>
                    ))}
                </Menu>
            </Popover>
        </MenuTrigger>
    );
}
