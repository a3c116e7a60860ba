// The addresses of the console. Each page is loaded when it is first opened.

import {
    type RouteComponent,
    createRootRoute,
    createRoute,
    createRouter,
    lazyRouteComponent,
    redirect,
} from "@tanstack/react-router";
import { session } from "./session";
import { Broken, Missing } from "./ui/boundary";
import { Shell } from "./ui/shell";

const root = createRootRoute({ notFoundComponent: Missing, errorComponent: Broken });

/** Where pages need nobody to be signed in. */
const door = <P extends string>(path: P, load: () => Promise<Record<string, unknown>>, name: string) =>
    createRoute({
        getParentRoute: () => root,
        path,
        component: lazyRouteComponent(load as () => Promise<Record<string, RouteComponent>>, name),
        validateSearch: (search: Record<string, unknown>) => search as Record<string, string | undefined>,
    });

const inside = createRoute({
    getParentRoute: () => root,
    id: "inside",
    component: Shell,
    beforeLoad: async ({ location }) => {
        if (!(await session.token()))
            throw redirect({ to: "/sign-in", search: { to: location.pathname === "/" ? undefined : location.href } });
    },
});

const page = <P extends string>(path: P, load: () => Promise<Record<string, unknown>>, name: string) =>
    createRoute({
        getParentRoute: () => inside,
        path,
        component: lazyRouteComponent(load as () => Promise<Record<string, RouteComponent>>, name),
        validateSearch: (search: Record<string, unknown>) => search as Record<string, string | undefined>,
        errorComponent: Broken,
    });

const doors = () => import("./pages/door");
const links = () => import("./pages/mailed");
const asking = () => import("./pages/ask");
const questions = () => import("./pages/questions");
const templates = () => import("./pages/templates");
const sources = () => import("./pages/sources");
const source = () => import("./pages/source");
const files = () => import("./pages/files");
const policies = () => import("./pages/policies");
const policy = () => import("./pages/policy");
const people = () => import("./pages/people");
const roles = () => import("./pages/roles");
const signOn = () => import("./pages/sign-on");
const organization = () => import("./pages/organization");
const applications = () => import("./pages/applications");
const me = () => import("./pages/me");

const tree = root.addChildren([
    door("/sign-in", doors, "SignIn"),
    door("/sign-up", doors, "SignUp"),
    door("/forgot-password", doors, "ForgotPassword"),
    door("/reset-password", links, "ResetPassword"),
    door("/verify-email", links, "VerifyEmail"),
    door("/invitation", links, "Invitation"),
    door("/signed-in", links, "SignedIn"),
    inside.addChildren([
        page("/", () => import("./pages/home"), "Home"),
        page("/welcome", () => import("./pages/home"), "Welcome"),
        page("/ask", asking, "Ask"),
        page("/history", () => import("./pages/history"), "HistoryPage"),
        page("/history/$id", () => import("./pages/history"), "Run"),
        page("/questions", questions, "SavedQuestions"),
        page("/questions/$id", questions, "SavedQuestion"),
        page("/questions/words", questions, "Words"),
        page("/questions/verified", questions, "VerifiedAnswers"),
        page("/questions/templates", templates, "Templates"),
        page("/questions/templates/new", templates, "NewTemplate"),
        page("/questions/templates/$id", templates, "TemplatePage"),
        page("/questions/templates/$id/edit", templates, "EditTemplate"),
        page("/sources", sources, "Sources"),
        page("/sources/new", sources, "Kinds"),
        page("/sources/new/$kind", sources, "Connect"),
        page("/sources/$id", source, "Source"),
        page("/files", files, "FilesPage"),
        page("/files/usage", files, "Usage"),
        page("/policies", policies, "Policies"),
        page("/policies/new", policy, "NewPolicy"),
        page("/policies/dashboard", policies, "Dashboard"),
        page("/policies/$id", policy, "PolicyPage"),
        page("/simulate", () => import("./pages/simulate"), "Simulate"),
        page("/audit", () => import("./pages/audit"), "Audit"),
        page("/people", people, "People"),
        page("/people/$id", people, "Person"),
        page("/invitations", people, "InvitationsPage"),
        page("/imports", people, "Imports"),
        page("/roles", roles, "RolesPage"),
        page("/roles/new", roles, "NewRole"),
        page("/roles/$id", roles, "RolePage"),
        page("/sso", signOn, "Providers"),
        page("/sso/new/$vendor", signOn, "Setup"),
        page("/sso/$id", signOn, "Provider"),
        page("/provisioning", signOn, "Scim"),
        page("/enforcement", signOn, "Enforcement"),
        page("/access", () => import("./pages/access"), "Access"),
        page("/workspaces", organization, "WorkspacesPage"),
        page("/workspaces/$id", organization, "WorkspacePage"),
        page("/organization", organization, "OrganizationPage"),
        page("/organization/tokens", organization, "OrganizationTokens"),
        page("/organization/applications", applications, "Applications"),
        page("/organization/applications/new", applications, "NewApplication"),
        page("/organization/applications/$id", applications, "ApplicationPage"),
        page("/me", me, "Profile"),
        page("/me/security", me, "Security"),
        page("/me/sessions", me, "SessionsPage"),
        page("/me/tokens", me, "MyTokens"),
        page("/me/applications", me, "ConnectedApplications"),
        page("/invited", me, "Invited"),
        page("/operator", () => import("./pages/operator"), "Operator"),
    ]),
]);

export const router = createRouter({
    routeTree: tree,
    // Addresses as people write them: ?source=2 is a text, not a number that would be quoted to stay one.
    parseSearch: (text) => Object.fromEntries(new URLSearchParams(text)),
    stringifySearch: (search) => {
        const given = Object.entries(search).filter(
            (entry): entry is [string, string] => entry[1] !== undefined && entry[1] !== "",
        );
        return given.length > 0 ? `?${new URLSearchParams(given)}` : "";
    },
    defaultPreload: "intent",
    defaultPreloadStaleTime: 0,
});

declare module "@tanstack/react-router" {
    interface Register {
        router: typeof router;
    }
}
