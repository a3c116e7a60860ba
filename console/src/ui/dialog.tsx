// What stands above the page: dialogs, questions before what cannot be undone, menus.

import { type ReactNode, useState } from "react";
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
import { Button, Problem } from "./basics";
import { GaveUp, proved } from "./proof";

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

/** Asks before something is lost, and for a proof where the server wants one. `word` must be typed where the loss is great. */
export function Confirm({
    title,
    children,
    action,
    word,
    onConfirm,
    onClose,
}: {
    title: string;
    children: ReactNode;
    action: string;
    word?: string;
    onConfirm: () => Promise<unknown>;
    onClose: () => void;
}) {
    const [busy, setBusy] = useState(false);
    const [error, setError] = useState<unknown>();
    const [typed, setTyped] = useState("");
    const confirm = async () => {
        setBusy(true);
        setError(undefined);
        try {
            await proved(onConfirm);
            onClose();
        } catch (cause) {
            if (!(cause instanceof GaveUp)) setError(cause);
            setBusy(false);
        }
    };
    return (
        <Dialog title={title} onClose={onClose}>
            <div className="stack tight">{children}</div>
            {word !== undefined && (
                <label className="field">
                    <span className="label">
                        Type <b>{word}</b> to confirm
                    </span>
                    <input type="text" value={typed} onChange={(event) => setTyped(event.target.value)} />
                </label>
            )}
            {error !== undefined && <Problem error={error} />}
            <div className="form-end">
                <Button onClick={onClose} autoFocus>
                    Keep
                </Button>
                <Button kind="danger" busy={busy} disabled={word !== undefined && typed !== word} onClick={confirm}>
                    {action}
                </Button>
            </div>
        </Dialog>
    );
}

export type Choice = { label: string; icon?: ReactNode; danger?: boolean; run: () => void };

export function ActionMenu({
    label,
    choices,
    children,
}: {
    label: string;
    choices: (Choice | false | undefined)[];
    children: ReactNode;
}) {
    const shown = choices.filter((choice): choice is Choice => Boolean(choice));
    if (shown.length === 0) return null;
    return (
        <MenuTrigger>
            <Pressable>
                <button type="button" className="button quiet small icon" aria-label={label}>
                    {children}
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
