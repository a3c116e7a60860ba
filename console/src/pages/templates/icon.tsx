// The icon of a template: an image in this server's storage. What lies elsewhere is not loaded: no address of another server
// gets to know who looks at a template.

import { MessageSquareText } from "lucide-react";
import { Button, Choices } from "../../ui/basics";
import { Uploads } from "../../ui/dropzone";
import { type Template, useTemplate } from "./pieces";

export function Icon({ of }: { of: Template | undefined }) {
    const link = of?.icon_presigned_url;
    if (!link || new URL(link, location.href).origin !== location.origin) return null;
    return <img className="tile" src={link} alt="" />;
}

/** The icon in a list, whose items have no link to theirs: it comes with the template, which is read where it has one. */
export function ListedIcon({ of }: { of: Template }) {
    const template = useTemplate(of.id, of.icon_url != null);
    if (template.data?.icon_presigned_url) return <Icon of={template.data} />;
    return (
        <span className="tile">
            <MessageSquareText size={16} aria-hidden />
        </span>
    );
}

export function IconField({
    value,
    onValue,
    isShared,
    error,
}: {
    /** The path of a stored file, or an address. */
    value: string | undefined;
    onValue: (value: string | undefined) => void;
    /** Whether others see the template. */
    isShared: boolean;
    error?: string;
}) {
    return (
        <Choices
            legend="Icon (optional)"
            hint={isShared && "Others see it once its folder is shared with their workspace."}
            error={error}
        >
            {value ? (
                <div className="row">
                    <code className="grow break">{value.split("/").at(-1)}</code>
                    <Button small aria-label="Remove the icon" onClick={() => onValue(undefined)}>
                        Remove
                    </Button>
                </div>
            ) : (
                <Uploads
                    many={false}
                    category="general"
                    accept={["image/png", "image/jpeg", "image/gif", "image/webp", "image/avif"]}
                    onDone={(file) => onValue(file.objectName)}
                />
            )}
        </Choices>
    );
}
