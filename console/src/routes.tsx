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

const links = () => import("./pages/mailed");
const home = () => import("./pages/home");
const asking = () => import("./pages/ask");
const history = () => import("./pages/history");
const writing = () => import("./pages/templates/writing");
const files = () => import("./pages/files");
const policies = () => import("./pages/policies");

const tree = root.addChildren([
    door("/sign-in", () => import("./pages/door/sign-in"), "SignIn"),
    door("/sign-up", () => import("./pages/door/sign-up"), "SignUp"),
    door("/forgot-password", () => import("./pages/door/forgot-password"), "ForgotPassword"),
    door("/reset-password", links, "ResetPassword"),
    door("/verify-email", links, "VerifyEmail"),
    door("/invitation", links, "Invitation"),
    door("/signed-in", links, "SignedIn"),
    door("/signed-in/anew", links, "ProvedAnew"),
    door("/connect", links, "Connect"),
    inside.addChildren([
        page("/", home, "Home"),
        page("/welcome", home, "Welcome"),
        page("/ask", asking, "Ask"),
        page("/history", history, "HistoryPage"),
        page("/history/$id", history, "Run"),
        page("/questions", () => import("./pages/questions/saved"), "SavedQuestions"),
        page("/questions/$id", () => import("./pages/questions/question"), "SavedQuestion"),
        page("/questions/schedules", () => import("./pages/questions/schedules"), "AllSchedules"),
        page("/questions/words", () => import("./pages/questions/words"), "Words"),
        page("/questions/meaning", () => import("./pages/questions/meaning"), "Meaning"),
        page("/questions/verified", () => import("./pages/questions/verified"), "VerifiedAnswers"),
        page("/questions/numbers", () => import("./pages/questions/numbers"), "Numbers"),
        page("/questions/templates", () => import("./pages/templates/templates"), "Templates"),
        page("/questions/templates/new", writing, "NewTemplate"),
        page("/questions/templates/$id", () => import("./pages/templates/template"), "TemplatePage"),
        page("/questions/templates/$id/edit", writing, "EditTemplate"),
        page("/sources", () => import("./pages/source/sources"), "Sources"),
        page("/sources/new", () => import("./pages/source/kinds"), "Kinds"),
        page("/sources/new/$kind", () => import("./pages/source/connect"), "Connect"),
        page("/sources/$id", () => import("./pages/source/source"), "Source"),
        page("/files", files, "FilesPage"),
        page("/files/usage", files, "Usage"),
        page("/policies", policies, "Policies"),
        page("/policies/new", () => import("./pages/policy/new"), "NewPolicy"),
        page("/policies/dashboard", policies, "Dashboard"),
        page("/policies/tokens", () => import("./pages/policy/tokens"), "TurnBack"),
        page("/policies/$id", () => import("./pages/policy/policy"), "PolicyPage"),
        page("/simulate", () => import("./pages/simulate"), "Simulate"),
        page("/audit", () => import("./pages/audit"), "Audit"),
        page("/people", () => import("./pages/people/members"), "People"),
        page("/people/$id", () => import("./pages/people/person"), "Person"),
        page("/invitations", () => import("./pages/people/invitations"), "InvitationsPage"),
        page("/imports", () => import("./pages/people/imports"), "Imports"),
        page("/roles", () => import("./pages/roles/roles"), "RolesPage"),
        page("/roles/new", () => import("./pages/roles/new"), "NewRole"),
        page("/roles/$id", () => import("./pages/roles/role"), "RolePage"),
        page("/sso", () => import("./pages/sign-on/providers"), "Providers"),
        page("/sso/new/$vendor", () => import("./pages/sign-on/setup"), "Setup"),
        page("/sso/$id", () => import("./pages/sign-on/provider"), "Provider"),
        page("/provisioning", () => import("./pages/sign-on/provisioning"), "Scim"),
        page("/enforcement", () => import("./pages/sign-on/enforcement"), "Enforcement"),
        page("/access", () => import("./pages/access/access"), "Access"),
        page("/workspaces", () => import("./pages/organization/workspaces"), "WorkspacesPage"),
        page("/workspaces/$id", () => import("./pages/organization/workspace"), "WorkspacePage"),
        page("/organization", () => import("./pages/organization/organization"), "OrganizationPage"),
        page("/organization/tokens", () => import("./pages/organization/tokens"), "OrganizationTokens"),
        page("/organization/applications", () => import("./pages/applications/applications"), "Applications"),
        page("/organization/applications/new", () => import("./pages/applications/new"), "NewApplication"),
        page("/organization/applications/$id", () => import("./pages/applications/application"), "ApplicationPage"),
        page("/me", () => import("./pages/me/profile"), "Profile"),
        page("/me/security", () => import("./pages/me/security"), "Security"),
        page("/me/sessions", () => import("./pages/me/sessions"), "SessionsPage"),
        page("/me/tokens", () => import("./pages/me/tokens"), "MyTokens"),
        page("/me/applications", () => import("./pages/me/applications"), "ConnectedApplications"),
        page("/invited", () => import("./pages/me/invited"), "Invited"),
        page("/operator", () => import("./pages/operator"), "Operator"),
        page("/operator/mails", () => import("./pages/mail/mails"), "Mails"),
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
