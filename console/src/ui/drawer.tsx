// The menu of a phone, above the page.

import type { ReactNode } from "react";
import { Dialog, Modal, ModalOverlay } from "react-aria-components";

export function Drawer({ onClose, children }: { onClose: () => void; children: ReactNode }) {
    return (
        <ModalOverlay isOpen isDismissable onOpenChange={(open) => !open && onClose()} className="scrim edge">
            <Modal className="drawer">
                <Dialog aria-label="Menu" className="side open">
                    {children}
                </Dialog>
            </Modal>
        </ModalOverlay>
    );
}
