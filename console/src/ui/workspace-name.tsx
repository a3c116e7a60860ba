// What a workspace is called, wherever one is named by its number.

import { useWorkspaces } from "../choices";

/** Whoever may not see it is told its number. */
export function WorkspaceName({ id }: { id: number }) {
    const workspaces = useWorkspaces();
    return workspaces.data?.workspaces.find((each) => each.id === id)?.name ?? `Workspace ${id}`;
}
